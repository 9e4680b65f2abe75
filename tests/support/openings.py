"""Which files of a tree are opened, as inotify(7) tells it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["opened_below"]

_IN_OPEN, _IN_ISDIR, _IN_Q_OVERFLOW = 0x20, 0x40000000, 0x4000
_EVENT = struct.Struct("=iIII")

_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def opened_below(top: str | os.PathLike[str]) -> Iterator[list[str]]:
    """Give a list that holds the names of the files opened below `top` when the block has ended.

    By whomever, once for each time; directories do not count.
    """
    queue = _checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
    opened: list[str] = []
    try:
        for directory, _, _ in os.walk(os.fsencode(top)):
            _checked(_libc.inotify_add_watch(queue, directory, _IN_OPEN))
        yield opened
        with contextlib.suppress(BlockingIOError):
            while data := os.read(queue, 1 << 16):
                opened += _names(data)
    finally:
        os.close(queue)


def _names(data: bytes) -> Iterator[str]:
    position = 0
    while position < len(data):
        _, mask, _, length = _EVENT.unpack_from(data, position)
        position += _EVENT.size
        name = data[position : position + length].rstrip(b"\0")
        position += length
        if mask & _IN_Q_OVERFLOW:
            raise RuntimeError("too many files were opened to name them")
        if name and not mask & _IN_ISDIR:
            yield os.fsdecode(name)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
