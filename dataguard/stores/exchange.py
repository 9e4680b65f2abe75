"""Two names of one directory that change places in one step, and links with an owner (Linux).

The directory may belong to somebody else than the caller, who may be root: everything is done by
descriptors, so that no other file can be meant.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["exact_directory", "exchange", "make_link"]

_EXCHANGE = 2
_EMPTY_PATH = 0x1000
_PATH = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_libc = ctypes.CDLL(None, use_errno=True)


def exchange(directory: int, one: bytes, other: bytes) -> None:
    """Let two names of an open directory change what they name; there is no moment in between.

    Raises:
        OSError: ENOENT where one is missing, EINVAL where the file system cannot.
    """
    at, flags = ctypes.c_int(directory), ctypes.c_uint(_EXCHANGE)
    if _libc.renameat2(at, ctypes.c_char_p(one), at, ctypes.c_char_p(other), flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def make_link(directory: int, name: bytes, target: bytes, *, uid: int, gid: int) -> None:
    """Make a symlink in an open directory for an owner; it stays the caller's who may not give it.

    Raises:
        OSError: it cannot be made; ESTALE where somebody put something else in its place at once.
    """
    os.symlink(target, name, dir_fd=directory)
    descriptor = os.open(name, _PATH, dir_fd=directory)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISLNK(status.st_mode) or status.st_nlink != 1:
            raise OSError(errno.ESTALE, "something else is in the place of a new link")
        if (status.st_uid, status.st_gid) != (uid, gid):
            # fchownat(2) by descriptor: by name root might give away another file.
            at, ids = ctypes.c_int(descriptor), (ctypes.c_uint(uid), ctypes.c_uint(gid))
            _libc.fchownat(at, ctypes.c_char_p(b""), *ids, ctypes.c_int(_EMPTY_PATH))
    finally:
        os.close(descriptor)


@contextmanager
def exact_directory(path: bytes) -> Iterator[int]:
    """Hold a directory by an absolute path without links; what is done by it goes nowhere else.

    Raises:
        OSError: it is not there or cannot be opened; ELOOP where a link is on the way.
    """
    descriptor = os.open(path, _DIRECTORY)
    try:
        if os.readlink(b"/proc/self/fd/%d" % descriptor) != path:
            raise OSError(errno.ELOOP, "a symlink is on the way to it")
        yield descriptor
    finally:
        os.close(descriptor)
