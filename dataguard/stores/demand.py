"""Pinned files read on demand, by blocks, ahead of whoever reads on; digests checked on the way."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from dataguard.stores.blocks import BLOCK
from dataguard.stores.hashing import new_hash
from dataguard.stores.pinnedsource import ChangedGoldError

if TYPE_CHECKING:
    from dataguard.model.digest import Algorithm
    from dataguard.model.pinned import PinnedEntry
    from dataguard.stores.blocks import Blocks
    from dataguard.stores.pinnedsource import PinnedSource

__all__ = ["Demanded", "Reader", "WrongDigestError"]

_MOST_AHEAD = 8
"""Blocks that are asked for before somebody who reads on and on gets there."""


class WrongDigestError(ChangedGoldError):
    """A file was read from its start to its end, and is not what was registered."""


class Demanded:
    """One file of a version, for all who have it open; its blocks are the store's.

    Once all of it was given, or is about to be, its digest is compared: the last bytes of wrong
    content are never given, and nothing after that. What is read elsewhere than from the start to
    the end is what the pin says, and its digest is not known.
    """

    def __init__(
        self, entry: PinnedEntry, source: PinnedSource, algorithm: Algorithm, blocks: Blocks
    ) -> None:
        self.entry, self.blocks = entry, blocks
        self._source = source
        self._count = -(-entry.size // BLOCK)
        self._lock = threading.Lock()
        self._hash, self._hashed = new_hash(algorithm)(), 0
        self._wrong = False

    @property
    def is_verified(self) -> bool:
        """Whether all of it was read, and is what was registered."""
        return self._hashed == self._count and not self._wrong

    def block(self, number: int) -> bytes:
        """Return a block, and take note of it for the digest.

        Raises:
            WrongDigestError: that was all, and it is something else, now or earlier.
            OSError: it cannot be read; `ChangedGoldError` where what is pinned is not there.
        """
        path = self.entry.path
        data = self.blocks.get(path, number, partial(self._fetch, number))
        with self._lock:
            if number == self._hashed:
                self._take(data)
            if self._wrong:
                raise WrongDigestError.at(self._source.place, "its content is not what was pinned")
        return data

    def ahead(self, number: int) -> None:
        """Begin to fetch a block, if there is one, and it is not there."""
        if number < self._count:
            self.blocks.ahead(self.entry.path, number, partial(self._fetch, number))

    def _take(self, data: bytes | None) -> None:
        """Go on with the digest, through blocks that were read out of turn."""
        while data is not None and self._hashed < self._count:
            self._hash.update(memoryview(data))
            self._hashed += 1
            data = self.blocks.there(self.entry.path, self._hashed)
        if self._hashed == self._count and self._hash.digest() != self.entry.digest:
            self._wrong = True
            self.blocks.forget(self.entry.path)

    def _fetch(self, number: int) -> bytes:
        start = number * BLOCK
        length = min(BLOCK, self.entry.size - start)
        data = self._source.read(start, length)
        if len(data) != length:
            raise ChangedGoldError.at(self._source.place, f"it ends at {start + len(data)} bytes")
        return data


class Reader:
    """One open file: who reads on gets blocks that were asked for beforehand, more each time."""

    def __init__(self, file: Demanded) -> None:
        self.file = file
        self._next, self._window, self._asked = 0, 1, 0

    def read(self, offset: int, length: int) -> bytes:
        """Return so many bytes from an offset on, fewer at the end of the file alone.

        Raises:
            OSError: as `Demanded.block`.
        """
        end = min(offset + length, self.file.entry.size)
        if end <= offset:
            return b""
        first, last = offset // BLOCK, (end - 1) // BLOCK
        self._look_ahead(first, last)
        found = [self.file.block(number) for number in range(first, last + 1)]
        joined = found[0] if len(found) == 1 else b"".join(found)
        start = offset - first * BLOCK
        return joined[start : start + end - offset]

    def _look_ahead(self, first: int, last: int) -> None:
        # The kernel asks for what it reads ahead itself somewhat out of turn.
        if first not in (self._next - 1, self._next):
            self._window, self._asked = 1, 0
        elif last >= self._next and last:
            self._window = min(self._window * 2, _MOST_AHEAD)
            for number in range(max(last + 1, self._asked), last + 1 + self._window):
                self.file.ahead(number)
            self._asked = last + 1 + self._window
        self._next = last + 1
