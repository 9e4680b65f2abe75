"""Content-defined chunks: where a file is cut follows from the bytes around the cut alone.

So the chunks of a part are found again wherever it is embedded, shifted or cut out. The cuts are
those of a gear hash (Xia et al., FastCDC, USENIX ATC 2016) over the last 32 bytes; all positions
are computed at once by doubling the window, which gives what a loop over the bytes would.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Chunking", "chunk_ends", "gear_table"]

_WINDOW = 32
_DOUBLINGS = (1, 2, 4, 8, 16)
_BLOCK = 1 << 17
"""Bytes that are hashed at once: the columns of a block stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Chunking:
    """How large chunks are, in bytes: a cut comes every 2**`bits` bytes on average.

    None is shorter than `least`, but the last, and none longer than `most`.
    """

    bits: int = 16
    least: int = 1 << 14
    most: int = 1 << 18


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
    start = size = 0
    for positions, size in _candidates(pieces, chunking.bits):
        for end in positions:
            while end - start > chunking.most:
                start += chunking.most
                yield start
            if end - start >= chunking.least:
                start = end
                yield start
        while size - start > chunking.most:
            start += chunking.most
            yield start
    if size > start:
        yield size


def _candidates(pieces: Iterable[bytes], bits: int) -> Iterator[tuple[list[int], int]]:
    """Yield the offsets at which a chunk may end, and how much was looked at."""
    limit, before, size = np.uint32(1 << (32 - bits)), b"", 0
    for piece in pieces:
        for at in range(0, len(piece), _BLOCK):
            block = piece[at : at + _BLOCK]
            hashes = _hashes(before + block)[len(before) :]
            found = np.flatnonzero(hashes < limit) + (size + 1)
            size += len(block)
            yield found.tolist(), size
            before = (before + block)[1 - _WINDOW :]


def _hashes(data: bytes) -> np.ndarray:
    """Return for each position the gear hash of the bytes up to it, 32 at most."""
    found: np.ndarray = gear_table()[np.frombuffer(data, np.uint8)]
    for width in _DOUBLINGS:
        if len(found) > width:
            # Twice the window: that of this position, and the one before it shifted by its length.
            found[width:] += found[:-width] << np.uint32(width)
    return found
