"""The mounts of one moment, from the lines of a mountinfo file."""

from __future__ import annotations

import os
import re

from dataguard.core.paths import is_inside
from dataguard.errors import DataguardError
from dataguard.model.dataclass import dataclass
from dataguard.model.mountpoint import MountPoint

__all__ = ["MountTable", "parse"]

_ESCAPE = re.compile(rb"\\([0-7]{3})")
_BEFORE_OPTIONAL = 6


@dataclass(frozen=True, slots=True)
class MountTable:
    """All mounts of one moment, in the kernel's order."""

    points: tuple[MountPoint, ...]

    def at(self, target: str) -> tuple[MountPoint, ...]:
        """Return the mounts exactly at an absolute path, the visible one last."""
        here = {point.mount_id: point for point in self.points if point.target == target}
        return tuple(sorted(here.values(), key=lambda point: _height(point, here)))

    def below(self, target: str) -> tuple[MountPoint, ...]:
        """Return the mounts deeper than an absolute path."""
        return tuple(p for p in self.points if p.target != target and is_inside(p.target, target))

    def holding(self, mount_id: int) -> MountPoint | None:
        """Return the mount with an id, or None where it is not visible from here."""
        return next((point for point in self.points if point.mount_id == mount_id), None)

    def showing(self, path: str) -> MountPoint | None:
        """Return the mount by which an absolute path without links is seen, at it or above."""
        above = [point.target for point in self.points if is_inside(path, point.target)]
        return self.at(max(above, key=len))[-1] if above else None


def parse(text: bytes) -> MountTable:
    """Return the mounts that the lines of a mountinfo file describe.

    Raises:
        DataguardError: a line has another form than proc_pid_mountinfo(5) says.
    """
    # names may hold any byte but the escaped ones, so only real newlines and spaces separate
    return MountTable(tuple(_point(line) for line in text.split(b"\n") if line))


def _point(line: bytes) -> MountPoint:
    try:
        fields = line.split(b" ")
        separator = fields.index(b"-", _BEFORE_OPTIONAL)
        return MountPoint(
            mount_id=int(fields[0]),
            parent_id=int(fields[1]),
            device=fields[2].decode("ascii"),
            root=_unescaped(fields[3]),
            target=_unescaped(fields[4]),
            read_only=b"ro" in fields[5].split(b","),
            filesystem=_unescaped(fields[separator + 1]),
            source=_unescaped(fields[separator + 2]),
        )
    except (ValueError, IndexError) as err:
        raise DataguardError(f"cannot understand a line of mountinfo: {line!r}") from err


def _unescaped(field: bytes) -> str:
    return os.fsdecode(_ESCAPE.sub(lambda found: bytes([int(found[1], 8) & 0xFF]), field))


def _height(point: MountPoint, here: dict[int, MountPoint]) -> int:
    """Count the mounts of the same target below a mount: each is the parent of the next."""
    height, seen = 0, {point.mount_id}
    while point.parent_id in here and point.parent_id not in seen:
        point = here[point.parent_id]
        seen.add(point.mount_id)
        height += 1
    return height
