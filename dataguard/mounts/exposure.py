"""Where a tree or a part of it can be written: its own path, and other mounts that show it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dataguard.core.paths import is_inside
from dataguard.model.dataclass import dataclass
from dataguard.mounts import mountinfo

if TYPE_CHECKING:
    from dataguard.model.mountpoint import MountPoint
    from dataguard.mounts.mountinfo import MountTable

__all__ = ["WritableMounts"]


@dataclass(frozen=True, slots=True)
class _Tree:
    """A directory of a file system: what a path leads to, wherever else it is mounted."""

    device: str
    root: str


class WritableMounts:
    """The mounts of one moment through which something can be written.

    A mount that is hidden by a later one is among them: too many rather than too few.
    """

    def __init__(self, table: MountTable | None = None) -> None:
        self._table = mountinfo.read() if table is None else table
        self._writable: dict[str, list[MountPoint]] = {}
        for point in self._table.points:
            if not point.read_only:
                self._writable.setdefault(point.device, []).append(point)

    def writable_paths_to(self, place: str) -> tuple[str, ...]:
        """Return what `paths_to` does, without the real path where its mount is read-only.

        What is mounted below a read-only mount, or shows the same elsewhere, may be writable.
        """
        found = self.paths_to(place)
        holding = _holding(self._table, found[0])
        return found if holding is None or not holding.read_only else found[1:]

    def paths_to(self, place: str) -> tuple[str, ...]:
        """Return the absolute paths of a place and of parts of it: its real path first.

        Those through read-only mounts are left out, except for the real path itself.
        """
        real = os.path.realpath(place)
        found = [real]
        for tree in self._trees(real):
            for point in self._writable.get(tree.device, ()):
                if is_inside(tree.root, point.root):
                    relative = os.path.relpath(tree.root, point.root)
                    found.append(os.path.normpath(os.path.join(point.target, relative)))
                elif is_inside(point.root, tree.root):
                    found.append(point.target)
        return tuple(dict.fromkeys(found))

    def _trees(self, real: str) -> list[_Tree]:
        """Return the directory that a path shows, and those of the mounts below it."""
        holding = _holding(self._table, real)
        trees = []
        if holding is not None:
            inside = os.path.join(holding.root, os.path.relpath(real, holding.target))
            trees.append(_Tree(holding.device, os.path.normpath(inside)))
        below = self._table.below(real)
        return [*trees, *(_Tree(point.device, point.root) for point in below)]


def _holding(table: MountTable, path: str) -> MountPoint | None:
    """Return the mount that a path really leads to: a deeper one may lie hidden under it.

    Of a path that cannot be opened it is the deepest that holds it by name, the last of several.
    """
    try:
        descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return _deepest(table, path)
    try:
        seen = table.holding(mountinfo.mount_id_of(descriptor))
        return _deepest(table, path) if seen is None else seen  # mounted after the table was read
    finally:
        os.close(descriptor)


def _deepest(table: MountTable, path: str) -> MountPoint | None:
    holding = [point for point in table.points if is_inside(path, point.target)]
    deepest = max((len(point.target) for point in holding), default=0)
    return next((p for p in reversed(holding) if len(p.target) == deepest), None)
