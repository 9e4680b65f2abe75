"""Which blocks of a file others have too: extents as FIEMAP tells them (linux/fiemap.h)."""

from __future__ import annotations

import fcntl
import struct
from typing import NamedTuple

__all__ = ["SHARING", "Extent", "extents"]

SHARING = frozenset({"bcachefs", "btrfs", "ocfs2", "xfs"})
"""File systems on which two files can have the same blocks."""

_FIEMAP = 0xC020660B
_HEADER = struct.Struct("=QQIIII")
_EXTENT = struct.Struct("=QQQ16xI12x")
_AT_ONCE = 128
_END = (1 << 64) - 1
_LAST, _SHARED = 0x1, 0x2000
_NOT_PLAIN = 0x2 | 0x4 | 0x200  # unknown, delayed, inline: no blocks that could be compared


class Extent(NamedTuple):
    """A range of a file and the blocks that hold it, in bytes.

    `physical` is -1 where it has no place that could be compared with another's.
    """

    logical: int
    physical: int
    length: int
    shared: bool


def extents(descriptor: int) -> tuple[Extent, ...]:
    """Return the extents of an open file in order.

    Raises:
        OSError: the file system does not tell.
    """
    found: list[Extent] = []
    start = 0
    while True:
        request = bytearray(_HEADER.size + _AT_ONCE * _EXTENT.size)
        _HEADER.pack_into(request, 0, start, _END - start, 0, 0, _AT_ONCE, 0)
        fcntl.ioctl(descriptor, _FIEMAP, request)
        count = _HEADER.unpack_from(request)[3]
        for i in range(count):
            logical, physical, length, flags = _EXTENT.unpack_from(
                request, _HEADER.size + i * _EXTENT.size
            )
            place = -1 if flags & _NOT_PLAIN else physical
            found.append(Extent(logical, place, length, bool(flags & _SHARED)))
            if flags & _LAST:
                return tuple(found)
        if not count:
            return tuple(found)
        start = found[-1].logical + found[-1].length
