"""`list`: the datasets of the catalog."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from dataguard.core.sealing import seal_word
from dataguard.model.dataset import LocationState, VersionState
from dataguard.model.results.list import DatasetList, DatasetRow

if TYPE_CHECKING:
    from dataguard.actions.context import Context
    from dataguard.model.dataset import Version

__all__ = ["list_datasets", "row_of"]


def list_datasets(ctx: Context, pattern: str, *, every: bool = False) -> DatasetList:
    """Return the newest active version of each dataset whose name matches a glob.

    A dataset without one shows its newest version. With `every`: all versions.
    """
    rows = []
    for dataset in ctx.catalog.datasets():
        if not fnmatchcase(dataset.name, pattern):
            continue
        versions = ctx.catalog.versions(dataset.name)
        chosen = versions if every else (_representative(versions),)
        rows += [row_of(ctx, version) for version in chosen]
    return DatasetList(tuple(rows))


def row_of(ctx: Context, version: Version) -> DatasetRow:
    """Return the line of a version; its location is the first active one, else the last known."""
    locations = ctx.catalog.locations(version.dataset, version.number)
    active = [location for location in locations if location.state is LocationState.ACTIVE]
    place = next(iter((*active, *locations)), None)
    return DatasetRow(
        dataset=version.dataset,
        version=version.number,
        root=str(version.root),
        files=version.files,
        bytes=version.bytes,
        location=place.place if place else None,
        state=str(version.state),
        seal=seal_word(None if place is None else ctx.catalog.seal(place.place)),
        pinned=place.objects.pinned if place and place.objects else None,
    )


def _representative(versions: tuple[Version, ...]) -> Version:
    active = [version for version in versions if version.state is VersionState.ACTIVE]
    return max(active or versions, key=lambda version: version.number)
