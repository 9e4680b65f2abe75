"""What lies under the two names at which a link takes the place of a file, or a file that of it."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataguard.model.reclaim import Replaced

__all__ = ["is_back", "is_our_link", "is_the_file", "is_untouched", "status_at"]


def is_back(one: Replaced, directory: int) -> bool:
    """Whether an undo has put the file in its place, and nothing is left to remove."""
    found = status_at(os.path.basename(one.path), directory)
    if found is None or status_at(one.temporary, directory) is not None:
        return False
    size = one.size if one.is_folder else found.st_size
    facts = (found.st_mode, found.st_uid, found.st_gid, size, found.st_mtime_ns)
    return facts == (one.mode, one.uid, one.gid, one.size, one.mtime_ns)


def is_untouched(one: Replaced, directory: int) -> bool:
    """Whether what was compared lies under the temporary name, a file still with one name.

    What is in a folder is looked at elsewhere: its own size and names say nothing of that.
    """
    found = status_at(one.temporary, directory)
    if found is None:
        return False
    facts = (found.st_ino, found.st_mtime_ns, found.st_mode, found.st_uid, found.st_gid)
    if facts != (one.inode, one.mtime_ns, one.mode, one.uid, one.gid):
        return False
    return one.is_folder or (found.st_nlink, found.st_size) == (1, one.size)


def is_the_file(one: Replaced, directory: int) -> bool:
    """Whether the file or folder lies under the temporary name, whatever was done to it since.

    The number of its device means nothing after a start of the host.
    """
    found = status_at(one.temporary, directory)
    if found is None or stat.S_IFMT(found.st_mode) != stat.S_IFMT(one.mode):
        return False
    return found.st_ino == one.inode


def is_our_link(one: Replaced, name: bytes, directory: int) -> bool:
    """Whether a name has the link that was made for a file, or one like it of the same owner."""
    found = status_at(name, directory)
    if found is None or not stat.S_ISLNK(found.st_mode) or found.st_uid not in (one.uid, 0):
        return False
    return os.readlink(name, dir_fd=directory) == one.target


def status_at(name: bytes, directory: int) -> os.stat_result | None:
    """Return what `lstat` says of a name in an open directory; None where there is nothing.

    Raises:
        OSError: it cannot be looked at.
    """
    try:
        return os.lstat(name, dir_fd=directory)
    except FileNotFoundError:
        return None
