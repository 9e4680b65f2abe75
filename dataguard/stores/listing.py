"""One directory as it is listed: plain names, directories, and what can be neither."""

from __future__ import annotations

import stat
import sys
from typing import TYPE_CHECKING, NamedTuple

from dataguard.model.entry import Obstacle
from dataguard.stores.obstacles import obstacle_of

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

__all__ = ["Listed", "listed", "special_of"]

_ENCODING = sys.getfilesystemencoding()


class Listed(NamedTuple):
    """The names in a directory, unsorted: files and symlinks, directories, everything else."""

    plain: list[bytes]
    directories: list[bytes]
    special: list[tuple[bytes, Obstacle]]


def listed(items: Iterable[os.DirEntry[str]]) -> Listed:
    """Sort what `os.scandir` yields by kind.

    Raises:
        OSError: the directory cannot be listed.
    """
    found = Listed([], [], [])
    plain = found.plain.append
    for item in items:
        name = item.name.encode(_ENCODING, "surrogateescape")
        if item.is_file(follow_symlinks=False) or item.is_symlink():
            plain(name)
        elif item.is_dir(follow_symlinks=False):
            found.directories.append(name)
        else:
            found.special.append((name, special_of(item)))
    return found


def special_of(item: os.DirEntry[str]) -> Obstacle:
    """Return what a listed thing is that is neither file, directory nor symlink."""
    try:
        mode = item.stat(follow_symlinks=False).st_mode
    except OSError as err:
        return obstacle_of(err)
    if stat.S_ISFIFO(mode):
        return Obstacle.FIFO
    if stat.S_ISSOCK(mode):
        return Obstacle.SOCKET
    return Obstacle.DEVICE if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) else Obstacle.UNSTABLE
