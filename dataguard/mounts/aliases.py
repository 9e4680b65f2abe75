"""Every path by which a place can be reached on this host: links resolved, bind mounts followed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dataguard.core.objectplaces import alias_of
from dataguard.core.paths import is_inside
from dataguard.mounts import mountinfo

if TYPE_CHECKING:
    from dataguard.model.mountpoint import MountPoint
    from dataguard.mounts.mountinfo import MountTable

__all__ = ["aliases_of", "parts_of"]


def aliases_of(place: str, *, table: MountTable | None = None) -> tuple[str, ...]:
    """Return the absolute paths of a place, existing or not: its real one first.

    Other mounts of the same file system that hold the place give it another path each. A mount
    that is hidden by a later one may give a path that leads elsewhere: too many rather than too
    few.

    Raises:
        DataguardError: `/proc/self/mountinfo` cannot be read.
    """
    if "://" in place:
        return (alias_of(place),)
    real = os.path.realpath(place)
    table = mountinfo.read() if table is None else table
    holding = _holding(real, table)
    if holding is None:
        return (real,)
    inside = _inside(real, holding)
    found = [real]
    found += [
        _joined(point.target, os.path.relpath(inside, point.root))
        for point in table.points
        if point.device == holding.device and is_inside(inside, point.root)
    ]
    return tuple(dict.fromkeys(found))


def parts_of(place: str, *, table: MountTable) -> tuple[str, ...]:
    """Return the mounts elsewhere that show a part of a place: what lies below them lies in it."""
    real = os.path.realpath(place)
    holding = _holding(real, table)
    if holding is None:
        return ()
    inside = _inside(real, holding)
    return tuple(
        point.target
        for point in table.points
        if point.device == holding.device and is_inside(point.root, inside)
    )


def _inside(path: str, holding: MountPoint) -> str:
    """Return the path that something has within the file system of the mount that holds it."""
    return _joined(holding.root, os.path.relpath(path, holding.target))


def _holding(path: str, table: MountTable) -> MountPoint | None:
    """Return the deepest mount that holds a path, the last one mounted where several do."""
    holding = [point for point in table.points if is_inside(path, point.target)]
    deepest = max((len(point.target) for point in holding), default=0)
    found = [point for point in holding if len(point.target) == deepest]
    return found[-1] if found else None


def _joined(directory: str, relative: str) -> str:
    return os.path.normpath(os.path.join(directory, relative))
