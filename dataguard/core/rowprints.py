"""What a table is known by, in any order of rows and columns: hashes of its rows.

Laws: the print of a table is that of any permutation of its rows and of its columns, of any cut
into batches, and of the same cells in other types (see `cellprints`); cells of nothing count for
nothing, so that a column without anything is as none. A row is a set of named cells.

Samples tell what part of a table another one has: of all hashes the smallest, so that a part of
the rows has its share of them. A table of few rows is known by all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from dataguard.core.cellprints import cell_hashes, name_hash
from dataguard.core.numbercells import mixed
from dataguard.core.numeric import np
from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["ALL", "Cells", "Printer", "Sample", "TablePrint", "cells_of", "row_hashes"]

ALL = (1 << 64) - 1
"""The bound of a sample that is everything."""

_KEPT = 1 << 16
"""Hashes of a sample at most."""

_LONG = 24
"""Text columns whose values have so many bytes on average tell a table by themselves."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The distinct hashes up to `bound`, ascending: of rows, or of one column's text alone."""

    hashes: np.ndarray
    bound: int
    column: str = ""

    def smallest(self, count: int) -> Sample:
        """Return the sample of the same that has so many at most."""
        if len(self.hashes) <= count:
            return self
        return Sample(self.hashes[:count], int(self.hashes[count - 1]), self.column)


@dataclass(frozen=True, slots=True)
class TablePrint:
    """What is known of a table: `total` and `parity` are sum and exclusive or of its row hashes.

    `columns` are those with anything in them, sorted. `texts` has a sample of each column of long
    text.
    """

    rows: int
    total: int
    parity: int
    columns: tuple[str, ...]
    sample: Sample
    texts: tuple[Sample, ...] = ()

    def same_rows(self, other: TablePrint) -> bool:
        """Whether two tables have the same rows, each as often, as far as hashes tell."""
        mine = self.rows, self.total, self.parity, self.columns
        return mine == (other.rows, other.total, other.parity, other.columns)


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of a batch: hashes by column, and for each column whether it is of long text."""

    rows: int
    names: tuple[str, ...]
    hashes: tuple[np.ndarray, ...]
    long: tuple[bool, ...]


def cells_of(batch: pa.RecordBatch) -> Cells:
    """Return the hashes of a batch's cells.

    Raises:
        UnhashableColumnError: a column has a type without cells to compare.
    """
    columns = batch.columns
    return Cells(
        batch.num_rows,
        tuple(batch.schema.names),
        tuple(cell_hashes(one) for one in columns),
        tuple(_is_long(one) for one in columns),
    )


def row_hashes(cells: Cells, names: frozenset[str] | None = None) -> np.ndarray:
    """Return the hashes of rows, of these columns alone where names are given; 0 for nothing."""
    total = np.zeros(cells.rows, np.uint64)
    for name, hashes in zip(cells.names, cells.hashes, strict=True):
        if names is None or name in names:
            named = mixed(hashes ^ name_hash(name))
            named[hashes == 0] = 0
            total += named
    return mixed(total)


class Printer:
    """Makes the print of a table from its batches; memory does not grow with them."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept = kept
        self._rows = 0
        self._total = 0
        self._parity = 0
        self._present: set[str] = set()
        self._sample = _Smallest(kept)
        self._texts: dict[str, _Smallest] = {}
        self._short: set[str] = set()

    def add(self, cells: Cells) -> None:
        """Take a batch into account."""
        hashes = row_hashes(cells)
        self._rows += cells.rows
        self._total = (self._total + int(mixed(hashes).sum(dtype=np.uint64))) & ALL
        self._parity ^= int(np.bitwise_xor.reduce(hashes))
        self._sample.add(hashes[hashes != 0])  # a row of nothing says nothing
        for name, column, long in zip(cells.names, cells.hashes, cells.long, strict=True):
            if name not in self._present and column.any():
                self._present.add(name)
            if long and name not in self._short:
                self._texts.setdefault(name, _Smallest(self._kept)).add(column[column != 0])
            elif column.any():
                self._short.add(name)

    def result(self) -> TablePrint:
        """Return the print of what was taken."""
        texts = (
            self._texts[name].result(name)
            for name in sorted(self._texts)
            if name not in self._short
        )
        return TablePrint(
            self._rows,
            self._total,
            self._parity,
            tuple(sorted(self._present)),
            self._sample.result(),
            tuple(one for one in texts if len(one.hashes)),
        )


class _Smallest:
    """The smallest distinct hashes of all that were added."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._bound = np.uint64(ALL)
        self._parts: list[np.ndarray] = []
        self._held = 0

    def add(self, hashes: np.ndarray) -> None:
        small = hashes[hashes <= self._bound]
        self._parts.append(small)
        self._held += len(small)
        if self._held > 4 * self._count:
            self._cut()

    def result(self, column: str = "") -> Sample:
        self._cut()
        return Sample(self._parts[0], int(self._bound), column)

    def _cut(self) -> None:
        found = _distinct(self._parts)
        if len(found) > self._count:
            found = found[: self._count].copy()
            self._bound = found[-1]
        self._parts, self._held = [found], len(found)


def _distinct(parts: Iterable[np.ndarray]) -> np.ndarray:
    # `numpy.unique` goes by a table of hashes, which costs ten times as much as sorting them.
    found = np.sort(np.concatenate([np.empty(0, np.uint64), *parts]))
    first = np.ones(len(found), dtype=bool)
    first[1:] = found[1:] != found[:-1]
    return found[first]


def _is_long(column: pa.Array) -> bool:
    """Whether a column holds text that is long on average; what is empty does not count."""
    kind = column.type
    text: Sequence[bool] = (
        pa.types.is_string(kind),
        pa.types.is_large_string(kind),
        pa.types.is_binary(kind),
        pa.types.is_large_binary(kind),
    )
    if not any(text) or not len(column):
        return False
    wide = pa.types.is_large_string(kind) or pa.types.is_large_binary(kind)
    offsets = column.buffers()[1]
    if offsets is None:
        return False
    ends = np.frombuffer(offsets, np.int64 if wide else np.int32)
    there = len(column) - int(column.null_count)
    size = int(ends[column.offset + len(column)]) - int(ends[column.offset])
    return there > 0 and size >= _LONG * there
