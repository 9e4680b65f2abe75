"""Where pinned bytes come from: open files of one content, and checking them while they are read.

What is raised is made for whoever reads files: an `OSError`, not one of dataguard's own errors.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from dataguard.stores.hashing import new_hash

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from dataguard.model.digest import Algorithm
    from dataguard.model.pinned import PinnedEntry

__all__ = ["ChangedGoldError", "Checked", "Part", "PartReader", "PinnedSource", "Replica", "Shared"]

_PIECE = 1 << 20


class ChangedGoldError(OSError):
    """What is there, or was read, is not what the version pins; errno is EIO."""

    @classmethod
    def at(cls, place: str, what: str) -> ChangedGoldError:
        """Return the error for a file or key that is not what it should be."""
        return cls(errno.EIO, what, place)


class PinnedSource(Protocol):
    """An open file or object of which only the pinned content is ever given."""

    size: int

    @property
    def place(self) -> str:
        """Where it is, in words for the user."""

    def read_into(self, offset: int, view: memoryview) -> int:
        """Fill a view with bytes from an offset on; fewer at the end of the file alone.

        Raises:
            ChangedGoldError: the bytes are no longer those that are pinned.
            OSError: they cannot be read.
        """

    def read(self, offset: int, length: int) -> bytes:
        """Return so many bytes from an offset on, fewer at the end of the file alone.

        Raises:
            ChangedGoldError, OSError: as `read_into`.
        """

    def close(self) -> None:
        """Let go of it."""


class Part(NamedTuple):
    """So many bytes of a source, from an offset on."""

    source: PinnedSource
    start: int
    length: int


class PartReader(Protocol):
    """What reads parts of sources far away together, rather than one after another."""

    def read_parts(self, parts: Sequence[Part]) -> Generator[bytes | OSError]:
        """Yield each part as `PinnedSource.read` returns it, or the error that raises, in order."""


@runtime_checkable
class Shared(Protocol):
    """A source whose parts are read together with those of others by its `reader`."""

    reader: PartReader


class Replica(Protocol):
    """One place that holds the bytes of a version."""

    @property
    def place(self) -> str:
        """Where it is, in words for the user."""

    def read(self, entry: PinnedEntry, *, verify: bool) -> bytes:
        """Return the whole content of a file; with `verify` its digest was compared.

        Raises:
            ChangedGoldError: it is not what is pinned.
            OSError: it cannot be read here.
        """

    def open(self, entry: PinnedEntry, *, verify: bool) -> PinnedSource:
        """Open a file; with `verify` its digest is compared when it was read to the end.

        Raises:
            ChangedGoldError, OSError: as `read`.
        """


class Checked:
    """A source whose digest is compared once all of it was read, before the last bytes are given.

    Who does not read from the beginning to the end has it read once more, before anything is
    given from elsewhere.
    """

    def __init__(self, source: PinnedSource, algorithm: Algorithm, digest: bytes) -> None:
        self.size, self.place = source.size, source.place
        self._source, self._algorithm, self._digest = source, algorithm, digest
        self._hash, self._hashed, self._done = new_hash(algorithm)(), 0, False
        if not self.size:
            self._compare()

    def read_into(self, offset: int, view: memoryview) -> int:
        """Fill a view, and take note of what was read.

        Raises:
            ChangedGoldError: that was all, and it is something else.
            OSError: it cannot be read.
        """
        if self._done:
            return self._source.read_into(offset, view)
        if offset > self._hashed:
            self.read_all()
            return self._source.read_into(offset, view)
        count = self._source.read_into(offset, view)
        self._take(offset, view[:count])
        return count

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes, and take note of what was read.

        Raises:
            ChangedGoldError, OSError: as `read_into`.
        """
        if not self._done and offset > self._hashed:
            self.read_all()
        data = self._source.read(offset, length)
        self._take(offset, memoryview(data))
        return data

    def close(self) -> None:
        """Let go of the source; of what was not read nothing is said."""
        self._source.close()

    def _take(self, offset: int, data: memoryview) -> None:
        if self._done:
            return
        new = data[self._hashed - offset :]
        self._hash.update(new)
        self._hashed += len(new)
        if self._hashed >= self.size:
            self._compare()

    def read_all(self) -> None:
        """Read what was not read yet, and compare the digest.

        Raises:
            ChangedGoldError, OSError: as `read_into`.
        """
        buffer = memoryview(bytearray(_PIECE))
        while not self._done:
            count = self._source.read_into(self._hashed, buffer)
            if not count:
                self._compare()  # shorter than it should be
            self._take(self._hashed, buffer[:count])

    def _compare(self) -> None:
        if self._hash.digest() != self._digest:
            raise ChangedGoldError.at(self.place, "its content is not what the version pins")
        self._done = True
