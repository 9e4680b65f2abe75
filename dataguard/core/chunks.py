"""Content-defined chunks: where a file is cut follows from the bytes around the cut alone.

So the chunks of a part are found again wherever it is embedded, shifted or cut out. The cuts are
those of a gear hash (Xia et al., FastCDC, USENIX ATC 2016) over the last 32 bytes; all positions
are computed at once by doubling the window, which gives what a loop over the bytes would.
"""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING

from dataguard.core.numeric import np
from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["CHUNKING", "LEAST_FILE", "Chunking", "Cutter", "chunk_ends", "gear_table", "is_plain"]

_WINDOW = 32
_DOUBLINGS = (1, 2, 4, 8, 16)
_BLOCK = 1 << 16
"""Bytes that are hashed at once: the columns of a block stay in the processor's cache."""

_PERIODS = (5040, 12288)
"""What repeats every 1 to 10, 12, 14 to 16 bytes and so on, or every power of two up to 4 KiB,
repeats after one of these."""

_GLANCE = 64

LEAST_FILE = 1 << 20
"""Shorter files are not cut, whether they are gold or may hold some of it."""


@dataclass(frozen=True, slots=True)
class Chunking:
    """How large chunks are, in bytes: a cut comes every 2**`bits` bytes on average.

    None is shorter than `least`, but the last, and none longer than `most`.
    """

    bits: int = 16
    least: int = 1 << 14
    most: int = 1 << 18

    def __str__(self) -> str:
        """Return the parameters as sheets of chunks name them; other cuts have other names."""
        return f"gear-1 bits={self.bits} least={self.least} most={self.most}"


CHUNKING = Chunking()
"""How gold is cut, and what is compared with it."""


@functools.cache
def gear_table() -> np.ndarray:
    """Return the number of each byte; pinned, since digests of chunks may be kept."""
    digests = (hashlib.sha256(b"dataguard-gear-1" + bytes([one])).digest() for one in range(256))
    table = np.array([int.from_bytes(one[:4], "little") for one in digests], np.uint32)
    table.flags.writeable = False
    return table


def chunk_ends(pieces: Iterable[bytes], chunking: Chunking) -> Iterator[int]:
    """Yield the offset after each chunk of a file that comes in pieces of any size.

    The last is the size of the file; an empty one has none. Memory is that of a piece.
    """
    cutter = Cutter(chunking)
    for piece in pieces:
        yield from cutter.cut(piece)
    yield from cutter.end()


def is_plain(data: bytes) -> bool:
    """Whether data repeats a few bytes, zeros for instance: having them in common says nothing."""
    return any(
        data[:_GLANCE] == data[period : period + _GLANCE] and data[:-period] == data[period:]
        for period in _PERIODS
        if len(data) >= period + _GLANCE
    )


class Cutter:
    """Cuts one file whose bytes come piece by piece, in pieces of any size."""

    def __init__(self, chunking: Chunking) -> None:
        self._chunking = chunking
        self._limit = np.uint32(1 << (32 - chunking.bits))
        self._start = self._size = 0
        self._before = b""
        # Written to again and again: memory that is new each time costs as much as the sums.
        self._hashes = np.empty(_BLOCK + _WINDOW, np.uint32)
        self._shifted = np.empty_like(self._hashes)

    def cut(self, piece: bytes) -> list[int]:
        """Return the offsets after the chunks that end in the next piece or right before it."""
        found: list[int] = []
        for at in range(0, len(piece), _BLOCK):
            block = piece[at : at + _BLOCK]
            positions = self._candidates(block)
            self._size += len(block)
            self._take(positions, found)
        return found

    def end(self) -> list[int]:
        """Return the size of the file where the last chunk ends there."""
        return [self._size] if self._size > self._start else []

    def _take(self, positions: list[int], found: list[int]) -> None:
        """Add the ends of chunks, given the offsets at which one may end."""
        for end in positions:
            self._fill(end, found)
            if end - self._start >= self._chunking.least:
                self._start = end
                found.append(end)
        self._fill(self._size, found)

    def _fill(self, end: int, found: list[int]) -> None:
        while end - self._start > self._chunking.most:
            self._start += self._chunking.most
            found.append(self._start)

    def _candidates(self, block: bytes) -> list[int]:
        data = self._before + block
        hashes = self._hash(data)[len(self._before) :]
        self._before = data[1 - _WINDOW :]
        found: list[int] = (np.flatnonzero(hashes < self._limit) + (self._size + 1)).tolist()
        return found

    def _hash(self, data: bytes) -> np.ndarray:
        """Return for each position the gear hash of the bytes up to it, 32 at most."""
        count = len(data)
        found, shifted = self._hashes[:count], self._shifted[:count]
        gear_table().take(np.frombuffer(data, np.uint8), out=found, mode="clip")
        for width in _DOUBLINGS:
            if count > width:
                # Twice the window: that here, and the one before it shifted by its length.
                np.left_shift(found[:-width], np.uint32(width), out=shifted[width:])
                np.add(found[width:], shifted[width:], out=found[width:])
        return found
