"""What a file must be to be read, for workers to ask: sizes to look for, files known from before.

The parent writes both into memory that workers map (memfd_create(2)); neither side copies them.
Imports little, since workers load it.
"""

from __future__ import annotations

import errno
import mmap
import os
import struct
from bisect import bisect_left
from functools import lru_cache
from typing import NamedTuple, Self

from dataguard.core.signature import signature

__all__ = ["SMALL", "Sieve", "SieveFile", "SieveName", "sieve_of"]

SMALL = 1 << 20
"""Sizes below have a byte each; larger ones are searched for."""

_HEADER = struct.Struct("<QQQ")

_NONE = (1 << 64) - 1
"""No file is as large."""


class SieveName(NamedTuple):
    """Where workers find a sieve; the inode tells it from others that had the path before."""

    path: str
    inode: int


class SieveFile:
    """A sieve as the parent holds it; workers find it as long as it is open."""

    def __init__(
        self, small: memoryview, large: memoryview, known: memoryview, *, told: int | None = None
    ) -> None:
        """Write one.

        `small` has a byte for each size below `SMALL`, 1 where it is looked for; `large` the other
        sizes and `known` the signatures of files that need not be read: 64-bit numbers, ascending.
        What has `told` bytes or more is told unread where its size is not looked for.

        Raises:
            OSError: there is no memory for it.
        """
        parts = [one.cast("B") for one in (small, large, known)]
        least = _NONE if told is None else told
        self._descriptor = os.memfd_create("dataguard-sieve", os.MFD_CLOEXEC)
        try:
            _write(self._descriptor, _HEADER.pack(len(parts[1]), len(parts[2]), least))
            for part in parts:
                _write(self._descriptor, part)
        except OSError:
            os.close(self._descriptor)
            raise

    @property
    def name(self) -> SieveName:
        """Return what workers open it by.

        Raises:
            OSError: they could not: there is no `/proc`, or it is closed to them (proc(5)).
        """
        process = f"/proc/{os.getpid()}"
        if os.stat(process).st_uid != os.geteuid():
            raise PermissionError(errno.EACCES, "this process may not be looked into", process)
        path = f"{process}/fd/{self._descriptor}"
        return SieveName(path, os.stat(path).st_ino)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it, once; workers that have it keep it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Sieve:
    """A sieve as a worker holds it; `small` and `told` are as the parent wrote them."""

    def __init__(self, path: str) -> None:
        """Map it.

        Raises:
            OSError: the parent is gone, or this is another host.
        """
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            mapped = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
        finally:
            os.close(descriptor)
        large, known, self.told = _HEADER.unpack_from(mapped)
        at = _HEADER.size + SMALL
        self.small = mapped[_HEADER.size : at]
        view = memoryview(mapped)
        self._large = view[at : at + large].cast("q")
        self._known = view[at + large : at + large + known].cast("Q")

    def has_large(self, size: int) -> bool:
        """Whether a size of `SMALL` or more is looked for."""
        at = bisect_left(self._large, size)
        return at < len(self._large) and self._large[at] == size

    def knows(self, status: os.stat_result) -> bool:
        """Whether a file was read before, by its signature: the parent compares all of it."""
        known = self._known
        if not known:
            return False
        found = signature(status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
        at = bisect_left(known, found)
        return at < len(known) and known[at] == found


@lru_cache(maxsize=1)
def sieve_of(name: SieveName) -> Sieve:
    """Return a sieve, mapped once for all units that follow one another.

    Raises:
        OSError: the parent is gone, or this is another host.
    """
    return Sieve(name.path)


def _write(descriptor: int, data: bytes | memoryview) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
