"""Files opened to be read once: no link followed, nothing waited for, the page cache respected."""

from __future__ import annotations

import contextlib
import errno
import os

__all__ = ["FLAGS", "fetch", "forget", "is_cold", "open_file", "open_otherwise"]

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

FLAGS = _FLAGS | os.O_NOATIME
"""How a file is opened: no link is followed, nothing waited for, its access time left alone."""

_BYTE = (bytearray(1),)
"""Where a byte goes that nobody looks at."""


def open_file(name: bytes, directory: int) -> int:
    """Open a name in an open directory, without touching its access time where its owner asks.

    Raises:
        OSError: it is a symlink or socket, is gone, or may not be read.
    """
    try:
        return os.open(name, FLAGS, dir_fd=directory)
    except PermissionError as err:
        if err.errno != errno.EPERM:
            raise
        # O_NOATIME is for the owner alone: whoever may read may still read.
        return os.open(name, _FLAGS, dir_fd=directory)


def open_otherwise(name: bytes, directory: int, err: OSError) -> int:
    """Open what could not be opened with `FLAGS` as `open_file` does; -1 where it cannot be."""
    if err.errno != errno.EPERM:
        return -1
    try:
        return os.open(name, _FLAGS, dir_fd=directory)
    except OSError:  # said when it is looked at with more care
        return -1


def is_cold(descriptor: int, offset: int = 0) -> bool:
    """Whether a byte of a file would come from the disk; False where the kernel cannot tell.

    Asking may make the kernel fetch what follows: ask for later bytes first.
    """
    try:
        os.preadv(descriptor, _BYTE, offset, os.RWF_NOWAIT)
    except BlockingIOError:
        return True
    except OSError:  # a directory or a file system without the flag: reading will tell
        return False
    return False


def fetch(descriptor: int, offset: int = 0, length: int = 0) -> None:
    """Have the kernel fetch a range of a file (length 0: to its end) while something else runs."""
    with contextlib.suppress(OSError):  # advice: not every file system takes it
        os.posix_fadvise(descriptor, offset, length, os.POSIX_FADV_WILLNEED)


def forget(descriptor: int, offset: int = 0, length: int = 0) -> None:
    """Have the kernel drop a range of a file, so that others keep their place in memory."""
    with contextlib.suppress(OSError):  # as above
        os.posix_fadvise(descriptor, offset, length, os.POSIX_FADV_DONTNEED)
