"""What `seal` and `unseal` share: the place that is meant, its paths, and new baselines."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa

from dataguard.actions.resolution import is_here
from dataguard.core.align import align, differing
from dataguard.core.columns import number_column
from dataguard.core.kernels import taken
from dataguard.errors import (
    CatalogDamagedError,
    ConflictError,
    NotFoundError,
    UsageError,
)
from dataguard.model.dataclass import dataclass
from dataguard.model.dataset import LocationState
from dataguard.model.digest import DigestPlan
from dataguard.model.reference import Reference
from dataguard.model.schema import LOCATION_SHEET, manifest_schema
from dataguard.mounts import mountinfo
from dataguard.stores.alteration import alter
from dataguard.stores.directorymodes import read_modes
from dataguard.stores.sealing import only_one

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.actions.context import Context
    from dataguard.model.dataset import FileSystem, Location, Version
    from dataguard.model.seal import SealRecord
    from dataguard.stores.alteration import Alteration, Passage

__all__ = ["Target", "alone", "altered", "record_baselines", "refuse_mounts_below", "target"]


@dataclass(frozen=True, slots=True)
class Target:
    """A version at one place of this host, and what is recorded of a seal there."""

    version: Version
    location: Location
    record: SealRecord | None

    @property
    def place(self) -> str:
        """The directory."""
        return self.location.place


def target(ctx: Context, reference: str, place: str | None) -> Target:
    """Return what a reference means here; `place` chooses where it lies at several.

    Raises:
        NotFoundError: the reference means nothing, or the version lies nowhere on this host.
        UsageError: it lies at several places and none is chosen.
    """
    version = ctx.catalog.resolve(Reference.parse(reference))
    wanted = None if place is None else os.path.realpath(place)
    found = [
        location
        for location in ctx.catalog.locations(version.dataset, version.number)
        if location.state is LocationState.ACTIVE
        and is_here(location, ctx.process.host)
        and wanted in (None, location.place)
    ]
    if not found:
        where = "on this host" if wanted is None else f"at {wanted}"
        raise NotFoundError(
            f"{version.reference} has no location {where}",
            hint=f"`dataguard show {version.reference}` lists its locations",
        )
    if len(found) > 1:
        raise UsageError(
            f"{version.reference} lies at {len(found)} places of this host",
            hint=f"choose one: --location {found[0].place}",
        )
    return Target(version, found[0], ctx.catalog.seal(found[0].place))


@contextmanager
def alone(ctx: Context, found: Target) -> Iterator[None]:
    """Keep others from sealing and unsealing a place that is as it was when it was looked up.

    Raises:
        ConflictError: somebody else seals or unseals it now, or did, or registered it.
        StoreUnreachableError: the place cannot be opened.
    """
    with only_one(found.place):
        known = ctx.catalog.locations(found.version.dataset, found.version.number)
        if found.location not in known or ctx.catalog.seal(found.place) != found.record:
            raise ConflictError(
                f"{found.place} was sealed, unsealed or registered meanwhile",
                hint=f"look at it: dataguard show {found.version.reference}",
            )
        yield


def refuse_mounts_below(place: str) -> None:
    """Refuse a place with other mounts in it: their files are not on its file system.

    Raises:
        ConflictError: there is one.
        DataguardError: proc cannot be read.
    """
    below = mountinfo.read().below(place)
    if below:
        raise ConflictError(
            f"{below[0].target} is mounted inside {place}: a seal would stop at it",
            hint=f"umount {below[0].target}, or register what is mounted there on its own",
        )


def altered(
    ctx: Context,
    version: Version,
    location: Location,
    what: Alteration,
    passage: Passage,
    *,
    record: SealRecord | None = None,
) -> str:
    """Set or take away a seal on all entries of a version; returns the sheet of how they are now.

    `record` says which modes are put back, where they are.

    Raises:
        CatalogDamagedError: the manifest or a sheet is missing or damaged.
        StoreUnreachableError: the tree or the home cannot be read or written.
        UsageError: this is not permitted.
    """
    restored = None if record is None or record.modes is None else record
    originals = None
    if restored is not None and restored.directories is not None:
        originals = read_modes(ctx.settings.home.value, version.root, restored.directories)
    entries = _entries(ctx, version, location, restored)
    with ctx.manifests.draft(DigestPlan(version.algorithm)) as draft:
        for batch in alter(location.place, entries, what, passage, originals):
            draft.add(batch)
            ctx.progress.advance(batch.num_rows, 0)
        published = draft.publish()
    if published.root != version.root:
        raise CatalogDamagedError(f"the manifest of {version.reference} holds other content")
    return published.sheet


def record_baselines(
    ctx: Context,
    version: Version,
    location: Location,
    *,
    sheet: str | None,
    filesystem: FileSystem | None,
    record: SealRecord,
) -> None:
    """Record a seal, with the new baseline of its place, if any, for all versions there.

    Raises:
        ConflictError: the place was registered again meanwhile.
    """
    baselines = {} if sheet is None else _baselines(ctx, version, location, sheet)
    with ctx.catalog.transaction() as tx:
        for (dataset, number), (known, key) in baselines.items():
            if known not in tx.locations(dataset, number):
                raise ConflictError(
                    f"{dataset}@{number} was registered again meanwhile",
                    hint="run the same command again",
                )
            if known.state is LocationState.ACTIVE:
                tx.add_location(dataset, number, known.place, key, filesystem)
        tx.put_seal(record)


def _baselines(
    ctx: Context, version: Version, location: Location, sheet: str
) -> dict[tuple[str, int], tuple[Location, str]]:
    """Return the locations at a place with their new sheets, by dataset and number."""
    found = {(version.dataset, version.number): (location, sheet)}
    for other in ctx.catalog.locations_at(location.place):
        shared = _shared(ctx, other, version, sheet)
        if shared is not None:
            found.setdefault((other.dataset, other.version), (other, shared))
    return found


def _entries(
    ctx: Context, version: Version, location: Location, restored: SealRecord | None
) -> Iterator[pa.RecordBatch]:
    """Yield the entries with their baseline, and with the modes to put back if there are any.

    Raises:
        ConflictError: the location has no baseline.
    """
    root, algorithm = version.root, version.algorithm
    if location.sheet is None:
        raise ConflictError(
            f"{location.place} has no baseline",
            hint=f"dataguard register {version.dataset} {location.place}",
        )
    entries = ctx.manifests.read_with_sheet(root, algorithm, location.sheet)
    if restored is None or restored.modes is None:
        yield from entries
        return
    before = ctx.manifests.read_with_sheet(root, algorithm, restored.modes)
    for batch, old in zip(entries, before, strict=True):
        yield batch.append_column("original_mode", old.column("mode"))


def _shared(ctx: Context, other: Location, version: Version, sheet: str) -> str | None:
    """Return the baseline of another version at the same place, all of whose entries are the same.

    None where they are not: its next audit reads them.
    """
    known = ctx.catalog.version(other.dataset, other.version)
    if known.root == version.root:
        return sheet
    if known.algorithm is not version.algorithm or other.sheet is None:
        return None
    left = ctx.manifests.read(known.root, known.algorithm)
    right = ctx.manifests.read_with_sheet(version.root, version.algorithm, sheet)
    names = manifest_schema(known.algorithm).names
    with ctx.manifests.draft(DigestPlan(known.algorithm)) as draft:
        for window in align(left, right, checked=True):
            if len(window.only_left) or any(differing(window, n).any() for n in ("kind", "digest")):
                return None
            facts = taken(window.right, number_column(window.right_rows))
            columns = [window.left.column(name) for name in names]
            columns += [facts.column(name) for name in LOCATION_SHEET.names]
            draft.add(pa.RecordBatch.from_arrays(columns, names=[*names, *LOCATION_SHEET.names]))
        published = draft.publish()
    return published.sheet if published.root == known.root else None
