"""Looking at a mount point without changing it."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from dataguard.model.mountpoint import SERVED, TargetKind, TargetView
from dataguard.mounts import mountinfo

if TYPE_CHECKING:
    from dataguard.model.mountpoint import MountPoint
    from dataguard.mounts.mountinfo import MountTable

__all__ = ["look", "mounted_between"]


def look(target: str, *, table: MountTable | None = None) -> TargetView:
    """Return what is at an absolute path now; links are not followed.

    Raises:
        DataguardError: `/proc/self/mountinfo` cannot be read.
    """
    table = mountinfo.read() if table is None else table
    stack, below = table.at(target), table.below(target)
    try:
        if stack and stack[-1].filesystem == SERVED:
            os.statvfs(target)  # what is cached would answer for a server that is dead
        status = os.lstat(target)
        kind = TargetKind.FULL if stack else _kind(target, status.st_mode)
        link = os.readlink(target) if kind is TargetKind.LINK else None
    except (FileNotFoundError, NotADirectoryError):
        return TargetView(target, TargetKind.ABSENT, stack=stack, below=below)
    except OSError:  # a dead server or FUSE process below the mount
        return TargetView(target, TargetKind.BROKEN, stack=stack, below=below)
    through = stack[-1] if stack else _seen_through(target, table)
    return TargetView(target, kind, status.st_dev, status.st_ino, link, stack, below, through)


def mounted_between(base: str, target: str) -> str | None:
    """Return a mount point strictly between a directory and a path below it, or None."""
    table = mountinfo.read()
    place = os.path.dirname(target)
    while len(place) > len(base):
        if table.at(place):
            return place
        place = os.path.dirname(place)
    return None


def _seen_through(target: str, table: MountTable) -> MountPoint | None:
    """Return the mount that a path really leads to, whatever is hidden below it in the table."""
    try:
        descriptor = os.open(target, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None  # gone meanwhile: seen through nothing
    try:
        return table.holding(mountinfo.mount_id_of(descriptor))
    finally:
        os.close(descriptor)


def _kind(target: str, mode: int) -> TargetKind:
    if stat.S_ISLNK(mode):
        return TargetKind.LINK
    if not stat.S_ISDIR(mode):
        return TargetKind.OTHER
    with os.scandir(target) as entries:
        return TargetKind.EMPTY if next(entries, None) is None else TargetKind.FULL
