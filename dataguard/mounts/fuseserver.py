"""The process behind a FUSE mount: shows one directory, refuses and notes every write.

Started as `python -m dataguard.mounts.fuseserver`, it gets everything as open descriptors: the
directory, the connection to the kernel, and the file for attempts. It ends when the mount goes.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import sys
from typing import TYPE_CHECKING

from dataguard.mounts.fuserefusal import Refusing, library, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Gold", "main", "open_beneath"]

_OPENAT2 = 437
_BENEATH = 0x8 | 0x4 | 0x2  # RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_NO_MAGICLINKS
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_OTHERS = 0o077
_WITHOUT_LIST = (errno.ENODATA, errno.EOPNOTSUPP)

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class _How(ctypes.Structure):
    """`struct open_how`, see openat2(2)."""

    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


def open_beneath(directory: int, path: str, flags: int) -> int:
    """Open a path beneath an open directory; no link leads anywhere on the way.

    Raises:
        OSError: it cannot be opened.
    """
    how = _How(flags, 0, _BENEATH)
    result = int(
        _libc.syscall(
            ctypes.c_long(_OPENAT2),
            ctypes.c_long(directory),
            os.fsencode(path.lstrip("/") or "."),
            ctypes.byref(how),
            ctypes.c_size_t(ctypes.sizeof(how)),
        )
    )
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


class Gold(Refusing):
    """The operations of mfusepy: reading is passed on, everything else noted and refused."""

    def __init__(
        self, directory: int, caller: Callable[[], tuple[int, int, int]], log: int
    ) -> None:
        super().__init__(caller, log)
        self._directory = directory

    def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
        """Return what lstat tells."""
        if fh is not None:
            return _attributes(fh)
        descriptor = open_beneath(self._directory, path, _LOOK)
        try:
            return _attributes(descriptor)
        finally:
            os.close(descriptor)

    def readdir(self, path: str, _fh: int) -> Iterator[tuple[str, dict[str, int], int]]:
        """Yield names with kind and inode."""
        descriptor = self._opened(path, os.O_DIRECTORY)
        try:
            yield from ((name, {}, 0) for name in (".", ".."))
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    kind = {"st_mode": _kind(entry), "st_ino": entry.inode()}
                    yield entry.name, kind, 0
        finally:
            os.close(descriptor)

    def readlink(self, path: str) -> str:
        """Return a link's target as it is."""
        descriptor = open_beneath(self._directory, path, _LOOK)
        try:
            return os.readlink("", dir_fd=descriptor)
        finally:
            os.close(descriptor)

    def open(self, path: str, flags: int) -> int:
        """Open a file for reading."""
        if flags & os.O_ACCMODE != os.O_RDONLY or flags & os.O_TRUNC:
            self.refuse("open", path)
        return self._opened(path, os.O_NOFOLLOW)

    def read(self, _path: str, size: int, offset: int, fh: int) -> bytes:
        """Return bytes of an open file."""
        return os.pread(fh, size, offset)

    def release(self, _path: str, fh: int) -> int:
        """Close a file."""
        os.close(fh)
        return 0

    def statfs(self, _path: str) -> dict[str, int]:
        """Return what statvfs tells of the source's file system."""
        seen = os.fstatvfs(self._directory)
        names = ("f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail", "f_files", "f_ffree")
        return {name: getattr(seen, name) for name in (*names, "f_favail", "f_namemax")}

    def _opened(self, path: str, flags: int) -> int:
        """Open for reading, without touching access times where that is allowed."""
        # a pipe put where a file was would keep everybody waiting
        flags |= os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            return open_beneath(self._directory, path, flags | os.O_NOATIME)
        except PermissionError:  # only the owner and root may ask for that
            return open_beneath(self._directory, path, flags)


def main(directory: int, connection: int, log: int, _faults: int) -> None:
    """Serve a mount until it goes; the descriptors are the caller's to close.

    Raises:
        ImportError: mfusepy is not installed.
        OSError: libfuse 3 is not.
    """
    caller = library().fuse_get_context
    # twice as fast on small files without threads, which would wait for one another
    serve(Gold(directory, caller, log), connection, threads=False)


def _attributes(descriptor: int) -> dict[str, int]:
    seen = os.fstat(descriptor)
    # The kernel checks what is told here and knows no access control list of the source, which
    # may refuse what the mode allows: then the mount is for the owner alone.
    closed = _OTHERS if not stat.S_ISLNK(seen.st_mode) and _has_list(descriptor) else 0
    return {
        "st_mode": seen.st_mode & ~closed,
        "st_ino": seen.st_ino,
        "st_nlink": seen.st_nlink,
        "st_uid": seen.st_uid,
        "st_gid": seen.st_gid,
        "st_size": seen.st_size,
        "st_blocks": seen.st_blocks,
        "st_atime": seen.st_atime_ns,
        "st_mtime": seen.st_mtime_ns,
        "st_ctime": seen.st_ctime_ns,
    }


def _has_list(descriptor: int) -> bool:
    """Whether an open entry has an access control list, or may have one."""
    try:
        os.getxattr(f"/proc/self/fd/{descriptor}", "system.posix_acl_access")
    except OSError as err:
        return err.errno not in _WITHOUT_LIST
    return True


def _kind(entry: os.DirEntry[str]) -> int:
    if entry.is_symlink():
        return stat.S_IFLNK
    return stat.S_IFDIR if entry.is_dir(follow_symlinks=False) else stat.S_IFREG


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:5]))
