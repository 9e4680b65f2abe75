"""The places that hold the bytes of a version, nearest first, ready to be read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataguard.actions.resolution import is_here
from dataguard.core.baseline import is_usable
from dataguard.errors import ConflictError, DataguardError, StoreUnreachableError
from dataguard.model.dataset import LocationState, VersionState
from dataguard.stores.filesystem import describe
from dataguard.stores.localreplica import LocalReplica
from dataguard.stores.lookup import Lookup
from dataguard.stores.manifests import ManifestStore
from dataguard.stores.versiontree import VersionTree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dataguard.model.dataset import Location, Version
    from dataguard.stores.pinnedsource import Replica

__all__ = ["GoldReplica", "Trees", "check_readable", "replicas_of"]


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


def replicas_of(
    version: Version,
    locations: Iterable[Location],
    trees: Trees,
    *,
    host: str,
    now_ns: Callable[[], int],
) -> tuple[GoldReplica, ...]:
    """Return where a version can be read from this host, nearest first; at least one place.

    Active locations come first. One where another version is expected by now may still hold most
    of this one: it is read from there only what its digest vouches for.

    Raises:
        StoreUnreachableError: there is none.
    """
    here = [one for one in locations if is_here(one, host) and os.path.isdir(one.place)]
    here.sort(key=lambda one: one.state is not LocationState.ACTIVE)
    if not here:
        raise StoreUnreachableError(
            f"no location of {version.reference} can be reached from this host",
            hint=f"`dataguard show {version.reference}` lists its locations",
        )
    return tuple(
        GoldReplica(version, one.sheet, _local(version, one, host=host, now_ns=now_ns), trees)
        for one in here
    )


def _local(
    version: Version, location: Location, *, host: str, now_ns: Callable[[], int]
) -> LocalReplica:
    quarantined = version.state is VersionState.QUARANTINED
    return LocalReplica(
        location.place,
        version.algorithm,
        now_ns,
        vouched=location.sheet is not None and _has_baseline(location, host),
        doubted=quarantined or location.state is not LocationState.ACTIVE,
    )


def _has_baseline(location: Location, host: str) -> bool:
    try:
        return is_usable(location.filesystem, describe(location.place, host))
    except DataguardError:
        return False  # reading says what is wrong there
