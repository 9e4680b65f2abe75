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
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn

from dataguard.core.secretwords import words_without_secrets
from dataguard.model.attempt import Attempt
from dataguard.mounts.attempts import LIMIT, note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Gold", "main", "open_beneath"]

_OPENAT2 = 437
_BENEATH = 0x8 | 0x4 | 0x2  # RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_NO_MAGICLINKS
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_OTHERS = 0o077
_WITHOUT_LIST = (errno.ENODATA, errno.EOPNOTSUPP)
_CACHED_S = 365 * 24 * 3600
"""How long the kernel may trust names and attributes: a version does not change."""

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


class Gold:
    """The operations of mfusepy: reading is passed on, everything else noted and refused."""

    use_ns = True

    def __init__(
        self, directory: int, caller: Callable[[], tuple[int, int, int]], log: int
    ) -> None:
        self._directory, self._caller, self._log = directory, caller, log
        self._noted = 0

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
            self._refuse("open", path)
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

    def chmod(self, path: str, _mode: int) -> NoReturn:
        """Refuse."""
        self._refuse("chmod", path)

    def chown(self, path: str, _uid: int, _gid: int) -> NoReturn:
        """Refuse."""
        self._refuse("chown", path)

    def create(self, path: str, _mode: int, _flags: int) -> NoReturn:
        """Refuse."""
        self._refuse("create", path)

    def fallocate(self, path: str, _mode: int, _offset: int, _size: int, _fh: int) -> NoReturn:
        """Refuse."""
        self._refuse("fallocate", path)

    def link(self, target: str, _source: str) -> NoReturn:
        """Refuse."""
        self._refuse("link", target)

    def mkdir(self, path: str, _mode: int) -> NoReturn:
        """Refuse."""
        self._refuse("mkdir", path)

    def mknod(self, path: str, _mode: int, _device: int) -> NoReturn:
        """Refuse."""
        self._refuse("mknod", path)

    def removexattr(self, path: str, _name: str) -> NoReturn:
        """Refuse."""
        self._refuse("removexattr", path)

    def rename(self, old: str, _new: str) -> NoReturn:
        """Refuse."""
        self._refuse("rename", old)

    def rmdir(self, path: str) -> NoReturn:
        """Refuse."""
        self._refuse("rmdir", path)

    def setxattr(self, path: str, _name: str, _value: bytes, *_rest: int) -> NoReturn:
        """Refuse."""
        self._refuse("setxattr", path)

    def symlink(self, target: str, _source: str) -> NoReturn:
        """Refuse."""
        self._refuse("symlink", target)

    def truncate(self, path: str, _length: int, _fh: int | None = None) -> NoReturn:
        """Refuse."""
        self._refuse("truncate", path)

    def unlink(self, path: str) -> NoReturn:
        """Refuse."""
        self._refuse("unlink", path)

    def utimens(self, path: str, _times: tuple[int, int] | None = None) -> NoReturn:
        """Refuse."""
        self._refuse("utimens", path)

    def write(self, path: str, _data: bytes, _offset: int, _fh: int) -> NoReturn:
        """Refuse."""
        self._refuse("write", path)

    def _opened(self, path: str, flags: int) -> int:
        """Open for reading, without touching access times where that is allowed."""
        # a pipe put where a file was would keep everybody waiting
        flags |= os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            return open_beneath(self._directory, path, flags | os.O_NOATIME)
        except PermissionError:  # only the owner and root may ask for that
            return open_beneath(self._directory, path, flags)

    def _refuse(self, operation: str, path: str) -> NoReturn:
        uid, gid, pid = self._caller()
        if self._noted < LIMIT:
            self._noted += 1
            name = os.fsencode(path.lstrip("/"))
            made = Attempt(operation, name, pid, uid, gid, _command(pid), datetime.now(UTC))
            with suppress(OSError):  # a full disk must not turn a refusal into an error
                note(self._log, made)
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def main(directory: int, connection: int, log: int) -> None:
    """Serve a mount until it goes; the descriptors are the caller's to close.

    Raises:
        ImportError: mfusepy is not installed.
        OSError: libfuse 3 is not.
    """
    os.environ.pop("FUSE_LIBRARY_PATH", None)
    os.environ["FUSE_LIBRARY_NAME"] = "fuse3"  # mfusepy would take libfuse 2 where that is too
    import mfusepy  # noqa: PLC0415  an extra, which wants the names above

    os.chdir("/")
    mfusepy.FUSE(
        Gold(directory, mfusepy.fuse_get_context, log),
        f"/dev/fd/{connection}",
        foreground=True,
        nothreads=True,  # twice as fast on small files: threads would wait for one another
        use_ino=True,
        kernel_cache=True,
        entry_timeout=_CACHED_S,
        attr_timeout=_CACHED_S,
    )


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


def _command(pid: int) -> str:
    """Return a process's command line; its caller waits for us, so it is there to be read."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as stream:
            words = stream.read().rstrip(b"\0").split(b"\0")
    except OSError:
        return ""
    told = tuple(word.decode("utf-8", "backslashreplace") for word in words)
    return " ".join(words_without_secrets(told))


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:4]))
