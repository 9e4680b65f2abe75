"""What the catalog vouches for of originals: their digests, and whether anything speaks against."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from dataguard.actions.places import open_store
from dataguard.core.baseline import is_usable
from dataguard.core.clearance import standing_damage
from dataguard.core.columns import binary_column, raw_paths
from dataguard.errors import DataguardError
from dataguard.model.dataset import LocationState, VersionState
from dataguard.model.reclaim import Reason
from dataguard.stores.reclaimcheck import Gold

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

    from dataguard.actions.context import Context
    from dataguard.model.copies import Copy
    from dataguard.model.dataset import Location, Version

__all__ = ["GoldFacts"]

_USABLE = (VersionState.ACTIVE, VersionState.SUPERSEDED)

_Facts = dict[bytes, tuple[Gold, Reason | None, str]]


class GoldFacts:
    """What is known of the originals of copies: one pass over each manifest that has some."""

    def __init__(self, ctx: Context, copies: Iterable[Copy]) -> None:
        """Look all of them up.

        Raises:
            CatalogDamagedError: a manifest or sheet cannot be trusted.
        """
        self._ctx = ctx
        wanted: dict[tuple[str, int], dict[bytes, set[bytes]]] = {}
        for copy in copies:
            place = _place_of(copy)
            if place is not None:
                entries = wanted.setdefault((copy.dataset, copy.version), {})
                entries.setdefault(place, set()).add(copy.entry)
        self._facts: _Facts = {}
        for (dataset, number), places in wanted.items():
            version = ctx.catalog.version(dataset, number)
            for place, names in places.items():
                self._look_up(version, place, names)

    def doubt(self, copy: Copy) -> tuple[Reason | None, str]:
        """Return why an original is not to be relied on, with details; None where nothing is."""
        if copy.original is None or copy.original not in self._facts:
            return Reason.UNVERIFIED, "the version has no such file at an active location"
        _, reason, detail = self._facts[copy.original]
        return reason, detail

    def of(self, copy: Copy) -> Gold:
        """Return what the version says of the original of a copy that has one."""
        return self._facts[copy.original or b""][0]

    def _look_up(self, version: Version, place: bytes, names: set[bytes]) -> None:
        location = self._location(version, place)
        if location is None:
            return
        doubt = self._standing(version)
        usable = self._is_usable(location)
        for entry, digest, vouched in self._rows(version, location, names, usable=usable):
            original = os.path.join(place, entry)
            gold = Gold(version.algorithm, digest, vouched is True)
            changed = "its baseline says otherwise: `dataguard audit` tells"
            reason, detail = (Reason.UNVERIFIED, doubt) if doubt else (None, "")
            if reason is None and vouched is False:
                reason, detail = Reason.UNVERIFIED, changed
            self._facts[original] = (gold, reason, detail)

    def _location(self, version: Version, place: bytes) -> Location | None:
        known = self._ctx.catalog.locations(version.dataset, version.number)
        here = (one for one in known if one.state is LocationState.ACTIVE)
        return next((one for one in here if os.fsencode(one.place) == place), None)

    def _standing(self, version: Version) -> str:
        """Return what speaks against a whole version; empty where nothing does."""
        if version.state not in _USABLE:
            return f"{version.reference} is {version.state}"
        bad = standing_damage(self._ctx.catalog.audits(version.dataset, version.number))
        return "" if bad is None else f"an audit of {version.reference} found damage"

    def _is_usable(self, location: Location) -> bool:
        """Whether the baseline means something here and now."""
        if location.sheet is None:
            return False
        try:
            now = open_store(self._ctx, location.place).filesystem()
        except DataguardError:  # then its files cannot be looked at either
            return False
        return is_usable(location.filesystem, now)

    def _rows(
        self, version: Version, location: Location, names: set[bytes], *, usable: bool
    ) -> Iterable[tuple[bytes, bytes, bool | None]]:
        """Yield entry, digest, and whether the baseline holds: None where it says nothing."""
        manifests, root, algorithm = self._ctx.manifests, version.root, version.algorithm
        if location.sheet is None or not usable:
            for batch in manifests.read(root, algorithm):
                chosen, paths = _chosen(batch, names)
                digests = chosen.column("digest").to_pylist()
                yield from ((path, one, None) for path, one in zip(paths, digests, strict=True))
            return
        for batch in manifests.read_with_sheet(root, algorithm, location.sheet):
            chosen, paths = _chosen(batch, names)
            for path, row in zip(paths, chosen.to_pylist(), strict=True):
                yield (
                    path,
                    row["digest"],
                    _holds(os.path.join(os.fsencode(location.place), path), row),
                )


def _chosen(batch: pa.RecordBatch, names: set[bytes]) -> tuple[pa.RecordBatch, list[bytes]]:
    paths = raw_paths(batch)
    mask = pc.is_in(paths, value_set=binary_column(sorted(names)).cast(paths.type))
    chosen = batch.filter(mask)
    return chosen, raw_paths(chosen).to_pylist()


def _holds(original: bytes, row: dict[str, object]) -> bool | None:
    """Whether a file is as its baseline says; None where that is racy and proves nothing."""
    try:
        found = os.lstat(original)
    except OSError:  # gone, or not for us: it does not stand for the version
        return False
    now = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
    if now != tuple(row[name] for name in ("size", "mtime_ns", "ctime_ns", "inode")):
        return False
    return None if row["racy"] else True


def _place_of(copy: Copy) -> bytes | None:
    """Return the location that an original lies at, None where its path does not end so."""
    if copy.original is None or not copy.original.endswith(b"/" + copy.entry):
        return None
    return copy.original[: -len(copy.entry) - 1]
