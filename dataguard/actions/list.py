"""`list`: the datasets of the catalog."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from dataguard.core.objectplaces import is_objects
from dataguard.core.sealing import seal_word
from dataguard.model.dataset import LocationState, VersionState
from dataguard.model.results.list import DatasetList, DatasetRow, PlaceProof

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.actions.context import Context
    from dataguard.model.dataset import Location, Version

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
        canaries=_proofs(ctx, active),
    )


def _proofs(ctx: Context, locations: list[Location]) -> tuple[PlaceProof, ...]:
    """Return what canaries proved of each location in a bucket, or that none was sent there."""
    places = [one.place for one in locations if is_objects(one.place)]
    return tuple(proof for place in places for proof in _proofs_at(ctx, place))


def _proofs_at(ctx: Context, place: str) -> Iterator[PlaceProof]:
    from dataguard.core.canary import NO_CANARY, protection_words  # noqa: PLC0415  buckets alone
    from dataguard.model.canary import CanaryState  # noqa: PLC0415  as above

    records = ctx.catalog.canaries(place)
    max_age, now = ctx.policy.objects.canary_max_age, ctx.clock()
    for one in records:
        words = protection_words(one, max_age, now)
        yield PlaceProof(place, str(one.state), one.caller.name, one.verified, words)
    if not records:
        yield PlaceProof(place, str(CanaryState.EXPOSED), None, None, NO_CANARY)


def _representative(versions: tuple[Version, ...]) -> Version:
    active = [version for version in versions if version.state is VersionState.ACTIVE]
    return max(active or versions, key=lambda version: version.number)
