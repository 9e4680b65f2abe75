"""The places that hold the bytes of a version, nearest first, ready to be read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dataguard.actions.resolution import is_here
from dataguard.core.baseline import is_usable
from dataguard.core.objectplaces import is_objects
from dataguard.errors import ConflictError, DataguardError, StoreUnreachableError, UsageError
from dataguard.model.dataclass import dataclass
from dataguard.model.dataset import LocationState, VersionState
from dataguard.stores.filesystem import describe
from dataguard.stores.localreplica import LocalReplica
from dataguard.stores.lookup import Lookup
from dataguard.stores.manifests import ManifestStore
from dataguard.stores.versiontree import VersionTree

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dataguard.model.dataset import Location, Version
    from dataguard.model.ports import Clock
    from dataguard.model.settings import Settings
    from dataguard.stores.pinnedsource import Replica

__all__ = ["GoldReplica", "Reading", "Trees", "check_readable", "replicas_of"]


class Trees:
    """The trees of versions, each with the baselines of a place, made once."""

    def __init__(self, home: str) -> None:
        self._home = home
        self._made: dict[tuple[str, str | None], VersionTree] = {}

    def of(self, version: Version, sheet: str | None) -> VersionTree:
        """Return a tree; its manifest is read and verified when it is first asked for.

        Raises:
            CatalogDamagedError: the manifest is missing or damaged.
        """
        key = version.root.hex, sheet
        found = self._made.get(key)
        if found is None:
            manifests = ManifestStore(self._home)
            found = VersionTree(Lookup(manifests, version.root, version.algorithm, sheet))
            self._made[key] = found
        return found


@dataclass(frozen=True, slots=True)
class GoldReplica:
    """A place of a version: its entries with the baselines of this place, and their bytes."""

    version: Version
    sheet: str | None
    bytes: Replica
    trees: Trees

    @property
    def tree(self) -> VersionTree:
        """The entries.

        Raises:
            CatalogDamagedError: the manifest is missing or damaged.
        """
        return self.trees.of(self.version, self.sheet)


def check_readable(version: Version) -> None:
    """Refuse what is not to be read: a version that was withdrawn.

    Raises:
        ConflictError: it was.
    """
    if version.state is VersionState.WITHDRAWN:
        raise ConflictError(
            f"{version.reference} is withdrawn: {version.state_reason}",
            hint=f"`dataguard log {version.dataset}` shows other versions",
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """What decides where a process reads: its settings, its host, and the time."""

    settings: Settings
    host: str
    clock: Clock


def replicas_of(
    version: Version, locations: Iterable[Location], trees: Trees, reading: Reading
) -> tuple[GoldReplica, ...]:
    """Return where a version can be read from this host, nearest first; at least one place.

    Directories of this host come before buckets, which the node cache is before. Active locations
    come first. One where another version is expected by now may still hold most of this one: it is
    read from there only what its digest vouches for.

    Raises:
        StoreUnreachableError: there is none.
        UsageError: there are only buckets, and the extra for them is not installed.
    """
    found = [one for one in locations if _is_there(one, reading.host)]
    found.sort(key=lambda one: (one.state is not LocationState.ACTIVE, is_objects(one.place)))
    if not found:
        raise StoreUnreachableError(
            f"no location of {version.reference} can be reached from this host",
            hint=f"`dataguard show {version.reference}` lists its locations",
        )
    made: list[GoldReplica] = []
    for one in found:
        try:
            held = _bytes_at(version, one, reading)
        except UsageError:
            if not made:
                raise
            continue  # without the extra for buckets: what is nearer will do
        made.append(GoldReplica(version, one.sheet, held, trees))
    return tuple(made)


def _is_there(location: Location, host: str) -> bool:
    if is_objects(location.place):
        return True
    return is_here(location, host) and os.path.isdir(location.place)


def _bytes_at(version: Version, location: Location, reading: Reading) -> Replica:
    quarantined = version.state is VersionState.QUARANTINED
    doubted = quarantined or location.state is not LocationState.ACTIVE
    if is_objects(location.place):
        from dataguard.actions.goldobjects import objects_at  # noqa: PLC0415  many have no bucket

        return objects_at(version, location, reading.settings, clock=reading.clock, doubted=doubted)
    return LocalReplica(
        location.place,
        version.algorithm,
        reading.clock,
        vouched=location.sheet is not None and _has_baseline(location, reading.host),
        doubted=doubted,
    )


def _has_baseline(location: Location, host: str) -> bool:
    try:
        return is_usable(location.filesystem, describe(location.place, host))
    except DataguardError:
        return False  # reading says what is wrong there
