"""The system calls of fanotify and of file handles, by ctypes.

See fanotify_init(2), fanotify_mark(2) and name_to_handle_at(2). The calls raise `OSError`; the
sensor turns that into dataguard's errors.
"""

from __future__ import annotations

import ctypes
import os
import struct

__all__ = [
    "FILESYSTEM",
    "INIT_FLAGS",
    "INODE",
    "MASK",
    "handle_of",
    "initialize",
    "mark",
    "open_handle",
]

_CLOEXEC, _NONBLOCK = 0x1, 0x2
_UNLIMITED_QUEUE, _UNLIMITED_MARKS = 0x10, 0x20
_REPORT_PIDFD, _REPORT_FID, _REPORT_DIR_FID = 0x80, 0x200, 0x400
_REPORT_NAME, _REPORT_TARGET_FID = 0x800, 0x1000

INIT_FLAGS = (_CLOEXEC | _NONBLOCK | _UNLIMITED_QUEUE | _UNLIMITED_MARKS) | (
    _REPORT_PIDFD | _REPORT_FID | _REPORT_DIR_FID | _REPORT_NAME | _REPORT_TARGET_FID
)
"""Everything that tells more: since Linux 5.17, which also knows renames of one event."""

_MODIFY, _ATTRIB, _CLOSE_WRITE, _CREATE, _DELETE = 0x2, 0x4, 0x8, 0x100, 0x200
_RENAME, _ONDIR, _EVENT_ON_CHILD = 0x1000_0000, 0x4000_0000, 0x0800_0000
MASK = _MODIFY | _ATTRIB | _CLOSE_WRITE | _CREATE | _DELETE | _RENAME | _ONDIR

INODE, FILESYSTEM = 0x0, 0x100
_MARK_ADD = 0x1
_AT_FDCWD, _AT_EMPTY_PATH, _AT_SYMLINK_FOLLOW = -100, 0x1000, 0x400
_MOST_HANDLE_BYTES = 128
_HEADER = struct.Struct("=Ii")

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fanotify_init.argtypes = (ctypes.c_uint, ctypes.c_uint)
_libc.fanotify_mark.argtypes = (
    *(ctypes.c_int, ctypes.c_uint, ctypes.c_uint64),
    *(ctypes.c_int, ctypes.c_char_p),
)
_libc.name_to_handle_at.argtypes = (
    *(ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p),
    *(ctypes.POINTER(ctypes.c_int), ctypes.c_int),
)
_libc.open_by_handle_at.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_int)


def initialize() -> int:
    """Return the descriptor of a new group that reads without blocking."""
    flags = os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_LARGEFILE", 0)
    return _checked(_libc.fanotify_init(INIT_FLAGS, flags))


def mark(group: int, what: int, path: bytes) -> None:
    """Have a group told what changes in a directory (`INODE`) or in its whole `FILESYSTEM`."""
    mask = MASK | _EVENT_ON_CHILD if what == INODE else MASK
    _checked(_libc.fanotify_mark(group, _MARK_ADD | what, mask, _AT_FDCWD, path))


def handle_of(name: bytes, *, at: int | None = None) -> tuple[bytes, int]:
    """Return the handle of a path, as events have it, and the id of its mount.

    An empty name is the descriptor `at` itself. A link is not followed.
    """
    room = ctypes.create_string_buffer(_HEADER.pack(_MOST_HANDLE_BYTES, 0), 8 + _MOST_HANDLE_BYTES)
    mount = ctypes.c_int()
    flags = 0 if name else _AT_EMPTY_PATH
    place = _AT_FDCWD if at is None else at
    _checked(_libc.name_to_handle_at(place, name, room, ctypes.byref(mount), flags))
    length, _ = _HEADER.unpack_from(room)
    return room.raw[: _HEADER.size + length], mount.value


def open_handle(mount: int, handle: bytes, flags: int) -> int:
    """Open what a handle names; `mount` is any descriptor on its file system.

    Raises:
        OSError: it is gone (ESTALE), or this process may not read everything (EPERM).
    """
    room = ctypes.create_string_buffer(handle, len(handle))
    return _checked(_libc.open_by_handle_at(mount, room, flags | os.O_CLOEXEC))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
