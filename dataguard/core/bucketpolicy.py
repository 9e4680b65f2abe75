"""Whether the policy document of a bucket is the one under which a canary was refused."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from dataguard.core.verdicts import Difference
from dataguard.model.canary import CanaryState
from dataguard.model.finding import Code

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dataguard.model.canary import CanaryRecord

__all__ = [
    "NO_DOCUMENT",
    "document_difference",
    "document_words",
    "joined",
    "policy_digest",
    "verified_under",
]

NO_DOCUMENT = "none"


def policy_digest(document: str | None) -> str:
    """Return the digest of a policy document; `none` where there is none.

    It is that of the canonical JSON: members and items in order, without white space. No list of a
    policy has an order that means something, and AWS gives them back in one of its own. A document
    that is no JSON is taken to the letter.
    """
    if document is None:
        return NO_DOCUMENT
    try:
        text = _canonical(json.loads(document))
    except (ValueError, RecursionError):
        text = document
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def verified_under(records: Iterable[CanaryRecord], endpoint: str) -> CanaryRecord | None:
    """Return the newest record at a server of a canary that was refused under a known document."""
    passed = (
        one
        for one in records
        if one.endpoint == endpoint
        and one.state is CanaryState.PROTECTED
        and one.policy is not None
    )
    return max(passed, key=lambda one: one.verified, default=None)


def document_difference(digest: str, verified: CanaryRecord | None) -> Difference | None:
    """Return that another document stands on the bucket than when a canary was refused."""
    if verified is None or digest == verified.policy:
        return None
    now = "there is none any more" if digest == NO_DOCUMENT else "another one stands there"
    message = f"the bucket's policy is not that of {_when(verified)}: {now}"
    evidence: dict[str, object] = {
        "policy": digest,
        "verified_policy": verified.policy,
        "verified": verified.verified.isoformat(),
        "caller": verified.caller.name,
    }
    return Difference(Code.DG605, b"", message, evidence)


def document_words(digest: str, verified: CanaryRecord | None) -> str:
    """Return which document stands on a bucket, in words that claim no more than was tried."""
    what = "no policy stands on the bucket"
    if digest != NO_DOCUMENT:
        what = f"policy {digest[:23]}... stands on the bucket"
    if verified is None:
        return f"{what}; no canary was refused under a policy that is known"
    if digest == verified.policy:
        return f"{what}, as at {_when(verified)}"
    return f"{what}, which is not that of {_when(verified)}"


def joined(found: Sequence[Difference]) -> list[Difference]:
    """Return what is wrong with a bucket as a whole as one: it has one finding of a code."""
    if not found:
        return []
    evidence = {name: value for one in found for name, value in one.evidence.items()}
    message = "; ".join(one.message for one in found)
    return [Difference(found[0].code, b"", message, evidence)]


def _when(verified: CanaryRecord) -> str:
    moment = f"{verified.verified:%Y-%m-%d %H:%M} UTC"
    return f"`policy verify` as {verified.caller.name} on {moment}"


def _canonical(value: object) -> str:
    """Return JSON whose members and items are in order."""
    if isinstance(value, dict):
        members = (f"{json.dumps(name)}:{_canonical(item)}" for name, item in value.items())
        return "{" + ",".join(sorted(members)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(sorted(map(_canonical, value))) + "]"
    return json.dumps(value)
