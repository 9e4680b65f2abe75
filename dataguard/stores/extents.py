"""Where the blocks of files lie, and blocks shared by files with the same bytes (Linux).

Sources: Documentation/filesystems/fiemap.rst, ioctl_fideduperange(2).
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from typing import TYPE_CHECKING

from dataguard.core.extents import Extent

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["can_share", "extents", "share"]

_FIEMAP = 0xC020660B  # linux/fiemap.h: FS_IOC_FIEMAP
_SYNC = 0x1
_LAST = 0x1
_SHARED = 0x2000
_NOWHERE = 0x2 | 0x4 | 0x200
"""Extents whose place is unknown, not chosen yet, or inside other metadata."""

_HEADER = struct.Struct("=QQIIII")
_EXTENT = struct.Struct("=QQQ16xI12x")
_AT_ONCE = 256
_WHOLE = (1 << 64) - 1

_DEDUPE = 0xC0189436  # linux/fs.h: FIDEDUPERANGE
_RANGE = struct.Struct("=QQHHIqQQiI")
_STATUS_DIFFERS = 1
_CHUNK = 16 << 20
"""What the kernel compares in one step: other writers of the file wait that long."""


def extents(descriptor: int) -> Iterator[Extent]:
    """Yield the extents of a file in its order, written out first; holes are left out.

    Raises:
        OSError: EOPNOTSUPP or ENOTTY where the file system does not tell.
    """
    start = 0
    while True:
        room = bytes(_AT_ONCE * _EXTENT.size)
        request = bytearray(_HEADER.pack(start, _WHOLE - start, _SYNC, 0, _AT_ONCE, 0) + room)
        fcntl.ioctl(descriptor, _FIEMAP, request)
        mapped = _HEADER.unpack_from(request)[3]
        flags = _LAST
        for number in range(mapped):
            at = _HEADER.size + number * _EXTENT.size
            logical, physical, length, flags = _EXTENT.unpack_from(request, at)
            start = logical + length
            yield Extent(logical, physical, length, bool(flags & _SHARED), not flags & _NOWHERE)
        if not mapped or flags & _LAST:
            return


def can_share(original: int, copy: int) -> bool:
    """Whether the kernel would let a file share the blocks of another; nothing is changed.

    True where only trying can tell: XFS that was made without shared blocks refuses later.
    """
    try:
        _dedupe(original, copy, 0, 0)
    except OSError:
        return False
    return True


def share(original: int, copy: int) -> None:
    """Let a file use the blocks of another of the same size and bytes; the kernel compares them.

    Inode, times, owner and permissions of the file stay. What was shared before an error stays so:
    those bytes are the same.

    Raises:
        OSError: EILSEQ where the bytes differ; EPERM where the caller may not; EXDEV, EINVAL or
            EOPNOTSUPP where the two cannot share.
    """
    size, at = os.fstat(copy).st_size, 0
    if os.fstat(original).st_size != size:
        raise OSError(errno.EILSEQ, "the sizes differ")
    while at < size:
        done = _dedupe(original, copy, at, min(_CHUNK, size - at))
        if not done:
            raise OSError(errno.EIO, "the kernel shares nothing")
        at += done


def _dedupe(original: int, copy: int, at: int, length: int) -> int:
    request = bytearray(_RANGE.pack(at, length, 1, 0, 0, copy, at, 0, 0, 0))
    fcntl.ioctl(original, _DEDUPE, request)
    *_, done, status, _reserved = _RANGE.unpack(request)
    if status == _STATUS_DIFFERS:
        raise OSError(errno.EILSEQ, "the bytes differ")
    if status < 0:
        raise OSError(-status, os.strerror(-status))
    return int(done)
