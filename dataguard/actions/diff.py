"""`diff`: what two versions have apart."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from dataguard.core.diff import diff as compare
from dataguard.errors import UsageError
from dataguard.model.reference import Reference
from dataguard.stores.ahead import ahead

if TYPE_CHECKING:
    from dataguard.actions.context import Context
    from dataguard.model.results.diff import DiffResult

__all__ = ["diff"]

_AHEAD = 1
"""Batches that wait: enough that both readers go on while two others are compared."""


def diff(ctx: Context, left: str, right: str) -> DiffResult:
    """Compare the manifests of two versions, of one dataset or of two; reads no data.

    Raises:
        NotFoundError: a reference means nothing.
        UsageError: their main digests cannot be compared.
        CatalogDamagedError: a manifest is damaged.
    """
    old, new = (ctx.catalog.resolve(Reference.parse(text)) for text in (left, right))
    if old.algorithm is not new.algorithm:
        raise UsageError(
            f"{old.reference} uses {old.algorithm} and {new.reference} {new.algorithm}: "
            "their digests cannot be compared",
            hint=f"register one of them again with --digest {old.algorithm}",
        )
    with contextlib.ExitStack() as stack:
        streams = [
            stack.enter_context(
                contextlib.closing(
                    ahead(ctx.manifests.read_content(version.root, version.algorithm), _AHEAD)
                )
            )
            for version in (old, new)
        ]
        return compare(*streams, names=(old.reference, new.reference))
