"""The beginnings of files: digests of their first bytes, and whether two files begin alike."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

import xxhash

from dataguard.core.partial import HEAD_BYTES
from dataguard.stores.descent import Descent
from dataguard.stores.openfile import forget, is_cold, open_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

__all__ = ["Beginnings"]

_PIECE = 1 << 20


class Beginnings:
    """Reads the beginnings of files below a directory, by their relative paths."""

    def __init__(self, place: str) -> None:
        """Open the directory.

        Raises:
            OSError: it cannot be opened.
        """
        self._descent = Descent(place)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._descent.close()

    def head(self, path: bytes, length: int = HEAD_BYTES) -> int | None:
        """Return the digest of a file's first bytes; None where it has fewer.

        Raises:
            OSError: it is gone or may not be read.
        """
        with self.reading(path) as descriptor:
            # Nothing but these bytes is wanted: what the kernel reads ahead would be for nothing.
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
            data = os.pread(descriptor, length, 0)
        return xxhash.xxh3_64_intdigest(data) if len(data) == length else None

    @contextmanager
    def reading(self, path: bytes) -> Iterator[int]:
        """Hold a file open; what had to come from the disk is not left in the page cache.

        Raises:
            OSError: it is gone or may not be read.
        """
        descriptor = self.open(path)
        try:
            cold = is_cold(descriptor)
            yield descriptor
            if cold:
                forget(descriptor)
        finally:
            os.close(descriptor)

    def open(self, path: bytes) -> int:
        """Return a descriptor of a file, to be closed by the caller.

        Raises:
            OSError: it is gone or may not be read.
        """
        directory, _, name = path.rpartition(b"/")
        return open_file(name, self._descent.open(directory))

    def begins_as(self, path: bytes, other: int, length: int) -> bool:
        """Whether the first bytes of a file are those of an open one: the last of them first.

        Raises:
            OSError: one cannot be read.
        """
        with self.reading(path) as descriptor:
            last = max(length - HEAD_BYTES, 0)
            if not _equal(descriptor, other, last, length - last):
                return False
            starts = range(0, last, _PIECE)
            return all(_equal(descriptor, other, at, min(_PIECE, last - at)) for at in starts)


def _equal(one: int, other: int, at: int, length: int) -> bool:
    left, right = os.pread(one, length, at), os.pread(other, length, at)
    return len(left) == length and left == right
