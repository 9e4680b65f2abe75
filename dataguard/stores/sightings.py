"""Findings of one look at the data, kept outside memory where they are many."""

from __future__ import annotations

import heapq
import pickle
import tempfile
import weakref
from collections.abc import Collection
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING

from dataguard.core.outcome import is_violation
from dataguard.errors import StoreUnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dataguard.model.finding import Finding

__all__ = ["Sightings"]

_IN_MEMORY_BYTES = 1 << 20
_PER_RECORD = 256


class Sightings(Collection["Finding"]):
    """Findings in path order, as many as there may be; memory holds about a megabyte of them.

    The rest is in a nameless temporary file. Can be read as often as wanted; `violations` counts
    those of severity error or worse.
    """

    def __init__(self, findings: Iterable[Finding] = ()) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115  below
        # Whoever holds the findings holds the file, which has no name that could stay behind.
        weakref.finalize(self, self._file.close)
        self._end = 0
        self._held: list[Finding] = []
        self._late: list[Finding] = []
        self._count = 0
        self.violations = 0
        for finding in findings:
            self.add(finding)

    def add(self, finding: Finding) -> None:
        """Take a finding that follows all earlier ones in path order.

        Raises:
            StoreUnreachableError: there is no room for it.
        """
        self._note(finding)
        self._held.append(finding)
        if len(self._held) >= _PER_RECORD:
            self._write()

    def add_late(self, finding: Finding) -> None:
        """Take a finding that comes after its place in the order; these are kept in memory."""
        self._note(finding)
        self._late.append(finding)

    def since(self, number: int) -> Iterator[Finding]:
        """Yield the findings in the order in which they came, without the first ones."""
        yield from islice(self._arrived(), number, None)

    def __iter__(self) -> Iterator[Finding]:
        by_path = attrgetter("path")
        return heapq.merge(self._in_order(), sorted(self._late, key=by_path), key=by_path)

    def __len__(self) -> int:
        return self._count

    def __contains__(self, finding: object) -> bool:
        return any(one == finding for one in self._arrived())

    def _arrived(self) -> Iterator[Finding]:
        yield from self._in_order()
        yield from tuple(self._late)

    def _in_order(self) -> Iterator[Finding]:
        held, end = tuple(self._held), self._end
        yield from self._written(end)
        yield from held

    def _written(self, end: int) -> Iterator[Finding]:
        position = 0
        while position < end:
            try:
                self._file.seek(position)
                found: tuple[Finding, ...] = pickle.load(self._file)  # noqa: S301  our own file
                position = self._file.tell()
            except OSError as err:
                raise StoreUnreachableError(
                    f"cannot read a temporary file: {err.strerror}"
                ) from err
            yield from found

    def _note(self, finding: Finding) -> None:
        self._count += 1
        self.violations += is_violation(finding)

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
