"""The gold index of the catalog: which versions count, and their shards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.core.goldindex import GoldIndex
from dataguard.model.dataset import VersionState
from dataguard.stores.goldshards import GoldShards

if TYPE_CHECKING:
    from dataguard.actions.context import Context
    from dataguard.model.dataset import Version
    from dataguard.model.reference import Reference

__all__ = ["gold_index"]

_COUNTED = (VersionState.ACTIVE, VersionState.QUARANTINED)
"""A copy of a version that was superseded or withdrawn may be the last one there is."""


def gold_index(ctx: Context, only: Reference | None = None) -> GoldIndex:
    """Return the index of all versions in use, the newest first; or of one version, in any state.

    Raises:
        CatalogDamagedError: a manifest is missing or damaged.
        NotFoundError: the reference means nothing.
    """
    every = ctx.catalog.versions()
    shards = GoldShards(ctx.settings.home.value, lambda: ctx.manifests)
    shards.prune({version.root.hex for version in every})
    if only is not None:
        wanted: tuple[Version, ...] = (ctx.catalog.resolve(only),)
    else:
        counted = (version for version in every if version.state in _COUNTED)
        wanted = tuple(sorted(counted, key=lambda one: one.created, reverse=True))
    return GoldIndex(wanted, [shards.shard(version) for version in wanted])
