"""Where copies are looked for: the places that were named, without those of gold and of ours."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dataguard.actions.resolution import is_here
from dataguard.catalog.address import database_path
from dataguard.core.paths import is_inside
from dataguard.errors import NotFoundError
from dataguard.model.copies import SkippedPlace
from dataguard.model.dataclass import dataclass
from dataguard.mounts import mountinfo
from dataguard.mounts.aliases import aliases_of, parts_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dataguard.actions.context import Context
    from dataguard.stores.walk import Exclusion

__all__ = ["Scope", "scope_of"]

_KERNELS = frozenset(
    {"bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs"}
    | {"fusectl", "mqueue", "proc", "pstore", "securityfs", "sysfs", "tracefs"}
)
"""File systems without data: what is read there is made up at that moment."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The directories to walk, the files to look at, and what is left out of both.

    `directories` are absolute paths without links, none inside another. `listed` are absolute
    paths in bytewise order.
    """

    directories: tuple[str, ...]
    listed: tuple[bytes, ...]
    skipped: tuple[SkippedPlace, ...]

    @property
    def places(self) -> tuple[bytes, ...]:
        """What was asked for, as far as it is not left out."""
        return (*map(os.fsencode, self.directories), *self.listed)

    def left_out(self, directory: str) -> Exclusion | None:
        """Return the test of the walk below a directory; None where nothing is left out."""
        prefix = os.fsencode(directory).rstrip(b"/") + b"/"
        inside = frozenset(
            one.path.removeprefix(prefix) for one in self.skipped if one.path.startswith(prefix)
        )
        return (lambda path, _: path in inside) if inside else None


def scope_of(ctx: Context, places: Iterable[str], listed: Iterable[bytes]) -> Scope:
    """Return what to look at.

    Raises:
        NotFoundError: a place does not exist.
    """
    areas = dict(_areas(ctx))
    directories: list[str] = []
    files = {os.path.abspath(path) for path in listed}
    named = []
    for place in places:
        real = os.path.realpath(place)
        if not os.path.lexists(real):
            raise NotFoundError(f"no file or directory {place}", hint=f"ls -ld {place}")
        named.append(real)
        if os.path.isdir(real):
            directories.append(real)
        else:
            files.add(os.fsencode(real))
    kept = [one for one in _outermost(directories) if _reason(one, areas) is None]
    touched = {
        area: reason
        for area, reason in areas.items()
        if any(is_inside(area, one) or is_inside(one, area) for one in named)
    }
    wanted = sorted(path for path in files if _reason(os.fsdecode(path), areas) is None)
    touched |= {
        area: areas[area] for path in files if (area := _area(os.fsdecode(path), areas)) is not None
    }
    outer = _outermost(touched)
    skipped = tuple(SkippedPlace(os.fsencode(one), touched[one]) for one in outer)
    return Scope(tuple(kept), tuple(wanted), skipped)


def _areas(ctx: Context) -> Iterator[tuple[str, str]]:
    """Yield every path of what is left out, with the reason."""
    table = mountinfo.read()
    home = os.path.realpath(ctx.settings.home.value)
    for point in table.points:
        if point.filesystem in _KERNELS:
            yield point.target, f"the kernel's files ({point.filesystem})"
    for mount in ctx.catalog.mounts(host=ctx.actor.host):
        yield mount.target, f"a mount of {mount.dataset}@{mount.version}"
    for location in ctx.catalog.active_locations():
        if is_here(location, ctx.actor.host):
            place = location.place
            for path in (*aliases_of(place, table=table), *parts_of(place, table=table)):
                if os.path.lexists(path):
                    yield path, f"the location of {location.dataset}@{location.version}"
    catalog = database_path(ctx.settings.catalog.value)
    cache = os.path.realpath(ctx.settings.cache.value)
    with_it = ", with the node cache" if is_inside(cache, home) else ""
    own = (
        (catalog, "the catalog"),
        (home, f"dataguard's home{with_it}"),
        (cache, "the node cache"),
    )
    for path, reason in own:
        if os.path.lexists(path):
            yield os.path.realpath(path), reason


def _outermost(directories: Iterable[str]) -> list[str]:
    found: list[str] = []
    for one in sorted(set(directories)):
        if not any(is_inside(one, other) for other in found):
            found.append(one)
    return found


def _area(path: str, areas: dict[str, str]) -> str | None:
    return next((area for area in areas if is_inside(path, area)), None)


def _reason(path: str, areas: dict[str, str]) -> str | None:
    area = _area(path, areas)
    return None if area is None else areas[area]
