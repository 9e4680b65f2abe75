"""The calls of inotify(7), by watchdog's bindings, and its records."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import struct
from typing import TYPE_CHECKING, NamedTuple

from watchdog.observers import inotify_c

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Record", "add_watch", "initialize", "records", "remove_watch", "waiting"]

_HEADER = struct.Struct("=iIII")
_FIONREAD = 0x541B


class Record(NamedTuple):
    """One event; a tuple, since thousands a second are made and dropped."""

    watch: int
    mask: int
    cookie: int
    name: bytes


def initialize() -> int:
    """Return the descriptor of a new instance that reads without blocking.

    Raises:
        OSError: the kernel refuses.
    """
    descriptor = inotify_c.inotify_init()
    if descriptor < 0:
        raise _last_error()
    os.set_inheritable(descriptor, False)
    os.set_blocking(descriptor, False)
    return descriptor


def add_watch(instance: int, directory: int, mask: int) -> int:
    """Watch an open directory, however long its path is; return the watch.

    Raises:
        OSError: too many watches (ENOSPC), or it may not be read.
    """
    place = b"/proc/self/fd/%d" % directory
    watch = inotify_c.inotify_add_watch(instance, place, inotify_c.Mask(mask))
    if watch < 0:
        raise _last_error()
    return int(watch)


def remove_watch(instance: int, watch: int) -> None:
    """Give a watch back, if it is there still."""
    with contextlib.suppress(OSError):
        inotify_c.inotify_rm_watch(instance, inotify_c.WatchDescriptor(watch))


def waiting(instance: int) -> int:
    """Return how many bytes can be read."""
    room = bytearray(4)
    fcntl.ioctl(instance, _FIONREAD, room)
    return int.from_bytes(room, "little")


def records(buffer: bytes) -> Iterator[Record]:
    """Yield the events of a buffer; what is cut off at its end is left out."""
    at, end = 0, len(buffer)
    while at + _HEADER.size <= end:
        watch, mask, cookie, length = _HEADER.unpack_from(buffer, at)
        at += _HEADER.size
        if at + length > end:
            return
        yield Record(watch, mask, cookie, buffer[at : at + length].partition(b"\0")[0])
        at += length


def _last_error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
