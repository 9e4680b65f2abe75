"""Two names of one directory that change places in one step (renameat2(2))."""

from __future__ import annotations

import ctypes
import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["exact_directory", "exchange"]

_EXCHANGE = 2
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
