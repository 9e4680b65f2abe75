"""Immutable flags of files: read and set by descriptor, looked up by name (Linux)."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct

__all__ = [
    "WITHOUT_FLAGS",
    "has_flag",
    "is_immutable",
    "may_set_flags",
    "set_immutable",
    "settable_flags",
    "sync_filesystem",
]

_GETFLAGS = 0x80086601  # linux/fs.h
_SETFLAGS = 0x40086602
_ARGUMENT = struct.Struct("@I4x")
"""An int, in a buffer of the size that the numbers of the requests name."""

_IMMUTABLE = 0x10

_SETTABLE = 0x8 | 0x10 | 0x20 | 0x40 | 0x80 | 0x10000  # S, i, a, d, A, D of chattr(1)
"""Without what a file system sets by itself, and what it lets directories pass on."""

_CAP_LINUX_IMMUTABLE = 9

WITHOUT_FLAGS = frozenset({errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS})
"""What the kernel says where a file system has no such flags."""

# statx(2)
_AT_SYMLINK_NOFOLLOW = 0x100
_ATTRIBUTE_IMMUTABLE = 0x10
_STATX_BYTES = 256

_libc = ctypes.CDLL(None, use_errno=True)


class _Statx(ctypes.Structure):
    """The part of `struct statx` that is looked at."""

    _fields_ = (
        ("mask", ctypes.c_uint32),
        ("block_size", ctypes.c_uint32),
        ("attributes", ctypes.c_uint64),
        ("between", ctypes.c_uint8 * 40),
        ("attributes_mask", ctypes.c_uint64),
        ("rest", ctypes.c_uint8 * (_STATX_BYTES - 64)),
    )


def is_immutable(descriptor: int) -> bool:
    """Whether an open file or directory has the flag.

    Raises:
        OSError: ENOTTY, EOPNOTSUPP or EINVAL where the file system has no such flags.
    """
    return bool(_flags(descriptor) & _IMMUTABLE)


def settable_flags(descriptor: int) -> int:
    """Return those flags of an open file or directory that people set, on every file system alike.

    Raises:
        OSError: as `is_immutable`.
    """
    return _flags(descriptor) & _SETTABLE


def set_immutable(descriptor: int, *, on: bool) -> bool:
    """Set or clear the flag, leave the others; returns whether anything had to be changed.

    Raises:
        OSError: as `is_immutable`; EPERM without CAP_LINUX_IMMUTABLE, EROFS on a read-only mount.
    """
    before = _flags(descriptor)
    after = before | _IMMUTABLE if on else before & ~_IMMUTABLE
    if after == before:
        return False
    fcntl.ioctl(descriptor, _SETFLAGS, _ARGUMENT.pack(after))
    return True


def has_flag(name: bytes, directory: int) -> bool | None:
    """Whether a name in an open directory has the flag; opens nothing, follows no link.

    None where the file system does not say. An empty name means the directory itself.

    Raises:
        OSError: there is no such name, or it cannot be looked at.
    """
    found = _Statx()
    flags = _AT_SYMLINK_NOFOLLOW | (0 if name else 0x1000)  # AT_EMPTY_PATH
    arguments = (ctypes.c_int(directory), ctypes.c_char_p(name), ctypes.c_int(flags))
    if _libc.statx(*arguments, ctypes.c_uint(0), ctypes.byref(found)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    if not found.attributes_mask & _ATTRIBUTE_IMMUTABLE:
        return None
    return bool(found.attributes & _ATTRIBUTE_IMMUTABLE)


def may_set_flags() -> bool:
    """Whether CAP_LINUX_IMMUTABLE is effective; in a user namespace that is not enough.

    Raises:
        OSError: proc cannot be read.
    """
    with open("/proc/self/status", "rb") as lines:
        effective = next((line for line in lines if line.startswith(b"CapEff:")), b"CapEff: 0")
    return bool(int(effective.split()[1], 16) >> _CAP_LINUX_IMMUTABLE & 1)


def sync_filesystem(descriptor: int) -> None:
    """Make everything on the file system of an open file durable, flags and modes too.

    Raises:
        OSError: it could not be written.
    """
    if _libc.syncfs(ctypes.c_int(descriptor)):
        number = ctypes.get_errno() or errno.EIO
        raise OSError(number, os.strerror(number))


def _flags(descriptor: int) -> int:
    answer = bytearray(_ARGUMENT.size)
    fcntl.ioctl(descriptor, _GETFLAGS, answer)
    return int(_ARGUMENT.unpack(answer)[0])
