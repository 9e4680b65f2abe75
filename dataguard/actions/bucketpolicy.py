"""Looks at the policy document of a bucket, beside the one under which a canary was refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.core.bucketpolicy import (
    document_difference,
    document_words,
    policy_digest,
    verified_under,
)
from dataguard.errors import ConflictError, DeniedError, NotFoundError, StoreUnreachableError
from dataguard.model.dataclass import dataclass
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.stores.objectclient import ObjectClient

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dataguard.actions.context import Context
    from dataguard.core.verdicts import Difference
    from dataguard.stores.s3access import Access

__all__ = ["PolicyLook", "document_digest", "look_at_policy"]

_UNTOLD = (ConflictError, NotFoundError, StoreUnreachableError)


@dataclass(frozen=True, slots=True)
class PolicyLook:
    """Which document stands on a bucket: `digest` is None where the store does not tell.

    `gap` says that it does not, where there is one that it is to be compared with.
    """

    digest: str | None
    words: str
    difference: Difference | None = None
    gap: Unreadable | None = None


def look_at_policy(ctx: Context, place: str, client: ObjectClient) -> PolicyLook:
    """Return what stands on the bucket of a place, and whether a canary was refused under it."""
    verified = verified_under(ctx.catalog.canaries(place), client.access.endpoint)
    try:
        digest = policy_digest(client.policy())
    except _UNTOLD as err:
        words = f"the bucket's policy was not looked at: {err.message}"
        if verified is None:
            return PolicyLook(None, words)
        obstacle = Obstacle.DENIED if isinstance(err, DeniedError) else Obstacle.ABSENT
        return PolicyLook(None, words, gap=Unreadable(b"", obstacle, words))
    difference = document_difference(digest, verified)
    return PolicyLook(digest, document_words(digest, verified), difference)


def document_digest(readers: Iterable[Access]) -> str | None:
    """Return the digest of a bucket's policy as the first of these may read it; None if none may.

    Raises:
        UsageError: the extra is not installed.
    """
    for access in dict.fromkeys(readers):
        client = ObjectClient(access)
        try:
            return policy_digest(client.policy())
        except _UNTOLD:
            continue
        finally:
            client.close()
    return None
