"""Values in the order in which they came, kept outside memory where they are many."""

from __future__ import annotations

import pickle
import tempfile
import weakref
from collections.abc import Collection
from typing import TYPE_CHECKING, TypeVar

from dataguard.errors import StoreUnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Spool"]

T = TypeVar("T")

_IN_MEMORY_BYTES = 1 << 20
_PER_RECORD = 256


class Spool(Collection[T]):
    """As many values as there may be; memory holds about a megabyte of them.

    The rest is in a nameless temporary file. Can be read as often as wanted, also while values
    are added: a reader sees those that were there when it began.
    """

    def __init__(self, values: Iterable[T] = ()) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115  below
        # Whoever holds the values holds the file, which has no name that could stay behind.
        weakref.finalize(self, self._file.close)
        self._end = 0
        self._held: list[T] = []
        self._count = 0
        for value in values:
            self.add(value)

    def add(self, value: T) -> None:
        """Take a value.

        Raises:
            StoreUnreachableError: there is no room for it.
        """
        self._count += 1
        self._held.append(value)
        if len(self._held) >= _PER_RECORD:
            self._write()

    def __iter__(self) -> Iterator[T]:
        held, end = tuple(self._held), self._end
        yield from self._written(end)
        yield from held

    def __len__(self) -> int:
        return self._count

    def __contains__(self, value: object) -> bool:
        return any(one == value for one in self)

    def _written(self, end: int) -> Iterator[T]:
        position = 0
        while position < end:
            try:
                self._file.seek(position)
                found: tuple[T, ...] = pickle.load(self._file)  # noqa: S301  our own file
                position = self._file.tell()
            except OSError as err:
                raise StoreUnreachableError(
                    f"cannot read a temporary file: {err.strerror}"
                ) from err
            yield from found

    def _write(self) -> None:
        try:
            self._file.seek(self._end)
            pickle.dump(tuple(self._held), self._file, protocol=pickle.HIGHEST_PROTOCOL)
            self._end = self._file.tell()
        except OSError as err:
            raise StoreUnreachableError(
                f"cannot write a temporary file: {err.strerror}",
                hint="set TMPDIR to a place with room",
            ) from err
        self._held = []
