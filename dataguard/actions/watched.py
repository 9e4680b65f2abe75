"""Which locations are watched, and what of them nobody shall be alarmed about now."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dataguard.actions.gate import places
from dataguard.actions.resolution import is_readable
from dataguard.core.areas import area_of, layered_areas
from dataguard.core.maintenance import maintenance_of
from dataguard.core.paths import is_inside
from dataguard.errors import NotFoundError, StoreUnreachableError
from dataguard.model.area import Role
from dataguard.model.dataclass import dataclass
from dataguard.model.dataset import VersionState
from dataguard.model.reference import Reference
from dataguard.model.seal import SealState

if TYPE_CHECKING:
    from datetime import datetime

    from dataguard.actions.context import Context
    from dataguard.model.area import Area
    from dataguard.model.dataset import Location, Version

__all__ = ["OpenAreas", "Watched", "quiet_until", "watched"]

_USED = (VersionState.ACTIVE, VersionState.QUARANTINED)


@dataclass(frozen=True, slots=True)
class Watched:
    """The newest version at one place."""

    version: Version
    location: Location

    @property
    def root(self) -> bytes:
        """The absolute path of the place."""
        return os.fsencode(self.location.place)

    @property
    def key(self) -> tuple[str, str]:
        """What stays the same when another version comes to the place."""
        return self.location.place, self.version.dataset

    def relative(self, path: bytes) -> bytes:
        """Return an absolute path relative to the place; empty for the place, and outside."""
        prefix = self.root.rstrip(b"/") + b"/"
        return path[len(prefix) :] if path.startswith(prefix) else b""


def watched(ctx: Context, names: tuple[str, ...], *, all_named: bool = True) -> tuple[Watched, ...]:
    """Return what is watched: all active locations on this host, or those of some datasets.

    Where several versions of a dataset lie at one place (`register --append`), it is the newest.

    Raises:
        NotFoundError: there is no such dataset.
        StoreUnreachableError: one that was named has no location on this host, and `all_named` of
            them are to be watched.
    """
    wanted = {ctx.catalog.dataset(Reference.parse(name).dataset).name for name in names}
    found: dict[tuple[str, str], Watched] = {}
    for location in ctx.catalog.active_locations():
        if not is_readable(location, ctx.process.host) or (
            wanted and location.dataset not in wanted
        ):
            continue
        newest = next(
            one
            for one in ctx.catalog.locations_at(location.place)
            if one.dataset == location.dataset
        )
        version = ctx.catalog.version(newest.dataset, newest.version)
        if version.state in _USED:
            one = Watched(version, newest)
            found[one.key] = one
    missing = sorted(wanted - {one.version.dataset for one in found.values()})
    if missing and all_named:
        raise StoreUnreachableError(
            f"no version of {missing[0]} in use has a location on this host",
            hint=f"`dataguard log {missing[0]}` tells what there is",
        )
    if not found and not names:
        raise NotFoundError("nothing to watch", hint="dataguard register NAME DIRECTORY")
    return tuple(found.values())


def quiet_until(ctx: Context, one: Watched) -> tuple[datetime | None, str]:
    """Return why writes to a place are expected now (empty: they are not), and until when.

    That is maintenance by the policy, a seal that somebody opened for a while, and the work of
    `seal` and `unseal` itself. None as time: until what goes on has ended.
    """
    now = ctx.clock()
    planned = maintenance_of(ctx.policy, one.version.dataset, now)
    if planned is not None:
        return planned.until, f"maintenance: {planned.reason}"
    seal = ctx.catalog.seal(one.location.place)
    if seal is None:
        return None, ""
    if seal.is_unfinished:
        return None, "its seal is being changed"
    if seal.state is SealState.OPEN and seal.until is not None and now < seal.until:
        return seal.until, f"its seal was opened: {seal.reason}"
    return None, ""


class OpenAreas:
    """Which parts of watched places are open for outputs: the deepest area decides."""

    def __init__(self, ctx: Context) -> None:
        self._layers = layered_areas(ctx.policy, places(ctx))
        self._open: dict[str, tuple[Area, ...]] = {}

    def holds(self, place: str, path: bytes) -> bool:
        """Whether a path relative to a watched place lies in an area that is no gold."""
        if place not in self._open:
            self._open[place] = self._inside(place)
        if not self._open[place]:
            return False
        absolute = os.path.join(place, os.fsdecode(path))
        if not any(is_inside(absolute, area.place) for area in self._open[place]):
            return False
        deciding = [area_of(absolute, areas) for areas in self._layers]
        return not any(area is not None and area.role is Role.GOLD for area in deciding)

    def _inside(self, place: str) -> tuple[Area, ...]:
        return tuple(
            area
            for areas in self._layers
            for area in areas
            if area.role is not Role.GOLD and is_inside(area.place, place)
        )
