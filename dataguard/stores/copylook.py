"""A second look at files that were found: what `stat` says now, and whose blocks they have."""

from __future__ import annotations

import errno
import os
import pwd
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from dataguard.model.copies import FileState
from dataguard.stores.descent import Descent
from dataguard.stores.extents import extents
from dataguard.stores.filesystem import file_system_type
from dataguard.stores.openfile import open_file

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dataguard.core.extents import Extent

__all__ = ["CopyLook", "file_id", "user_names"]

_SHARING = frozenset({"bcachefs", "btrfs", "ocfs2", "xfs"})
"""File systems on which two files can have the same blocks."""

_BLOCK = 512  # stat(2): st_blocks counts these, whatever the file system's own are


class CopyLook:
    """Looks at files below a directory by their relative path, whatever its length."""

    def __init__(self, place: str) -> None:
        """Open the directory.

        Raises:
            OSError: it cannot be opened.
        """
        self._descent = Descent(place)
        self._kinds: dict[int, str] = {}
        self._directory = b""
        self._descriptor = self._descent.root

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._descent.close()

    def state(self, path: bytes) -> FileState:
        """Return what `stat` says.

        Raises:
            OSError: it is gone, or may not be looked at.
        """
        directory, _, name = path.rpartition(b"/")
        found = os.stat(name, dir_fd=self._open(directory), follow_symlinks=False)
        return FileState(
            device=found.st_dev,
            inode=found.st_ino,
            size=found.st_size,
            mtime_ns=found.st_mtime_ns,
            ctime_ns=found.st_ctime_ns,
            uid=found.st_uid,
            links=found.st_nlink,
            allocated=found.st_blocks * _BLOCK,
        )

    def extents(self, path: bytes, state: FileState) -> tuple[Extent, ...]:
        """Return the extents of a file; none where its file system shares none.

        Raises:
            OSError: it cannot be opened, or the file system does not tell.
        """
        if self._kind(state.device) not in _SHARING:
            return ()
        directory, _, name = path.rpartition(b"/")
        descriptor = open_file(name, self._open(directory))
        try:
            return tuple(extents(descriptor))
        finally:
            os.close(descriptor)

    def _open(self, directory: bytes) -> int:
        """Return a descriptor of a directory, most often the one of the file before."""
        if directory != self._directory:
            # Where that fails, what was open before may not be any more.
            self._directory, self._descriptor = b"", self._descent.root
            self._descriptor = self._descent.open(directory)
            self._directory = directory
        return self._descriptor

    def _kind(self, device: int) -> str:
        if device not in self._kinds:
            found = file_system_type(device)
            # Subvolumes of btrfs have devices that no mount table names.
            self._kinds[device] = "btrfs" if found == "unknown" else found
        return self._kinds[device]


def file_id(path: bytes) -> tuple[int, int]:
    """Return device and inode of a file by its absolute path, no link at its end followed.

    Raises:
        OSError: it is gone, or may not be looked at.
    """
    try:
        found = os.lstat(path)
    except OSError as err:
        if err.errno != errno.ENAMETOOLONG:
            raise
        place, _, below = path.removeprefix(b"/").partition(b"/")
        with CopyLook(os.fsdecode(b"/" + place)) as look:
            state = look.state(below)
        return state.device, state.inode
    return found.st_dev, found.st_ino


def user_names(uids: Iterable[int]) -> dict[int, str]:
    """Return the names of user ids, as far as the host knows them."""
    found = {}
    for uid in set(uids):
        with suppress(KeyError):
            found[uid] = pwd.getpwuid(uid).pw_name
    return found
