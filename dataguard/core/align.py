"""Aligns two streams of entries by path, window by window, in constant memory."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataguard.core.columns import ascending, mask_of, number_column, numbers, truths, words
from dataguard.core.cursor import Cursor
from dataguard.core.kernels import any_of, places_in, present, taken, unequal
from dataguard.core.numeric import np
from dataguard.core.runs import Run, equal_runs, gaps, lefts, rights, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow as pa

    from dataguard.core.cursor import Rows

__all__ = ["Window", "align", "are_alike", "differing", "differing_pairs", "match"]


@dataclass(frozen=True)  # without slots: what few ask for is made when they do
class Window:
    """The rows of both streams in one range of paths.

    `runs` are the pairs of rows with the same path as ranges, in order; None where they are too
    scattered for that. All row numbers into the two batches are ascending.
    """

    left: pa.RecordBatch
    right: pa.RecordBatch
    left_paths: pa.Array
    right_paths: pa.Array
    runs: tuple[Run, ...] | None

    @property
    def is_paired(self) -> bool:
        """Whether every row of either side has a partner: row by row."""
        rows = len(self.left_paths)
        return rows == len(self.right_paths) and self.runs == ((Run(0, 0, rows),) if rows else ())

    @functools.cached_property
    def left_rows(self) -> np.ndarray:
        """The left rows that have a partner: `left_rows[i]` has the path of `right_rows[i]`."""
        return self._scattered[0] if self.runs is None else rows_of(lefts(self.runs))

    @functools.cached_property
    def right_rows(self) -> np.ndarray:
        """The right rows that have a partner."""
        return self._scattered[1] if self.runs is None else rows_of(rights(self.runs))

    @functools.cached_property
    def only_left(self) -> np.ndarray:
        """The left rows without a partner."""
        rows = len(self.left_paths)
        if self.runs is None:
            return _others(rows, self.left_rows)
        return rows_of(gaps(lefts(self.runs), rows))

    @functools.cached_property
    def only_right(self) -> np.ndarray:
        """The right rows without a partner."""
        rows = len(self.right_paths)
        if self.runs is None:
            return _others(rows, self.right_rows)
        return rows_of(gaps(rights(self.runs), rows))

    @functools.cached_property
    def _scattered(self) -> tuple[np.ndarray, np.ndarray]:
        return _rows_by_hash(self.left_paths, self.right_paths)


def align(
    left: Iterable[pa.RecordBatch], right: Iterable[pa.RecordBatch], *, checked: bool = False
) -> Iterator[Window]:
    """Yield windows that together hold every row of both streams once, in path order.

    `checked` says that whoever makes the streams has checked their order, as readers of manifests
    do.

    Raises:
        CatalogDamagedError: a stream is not in path order.
    """
    one, other = Cursor(left, checked=checked), Cursor(right, checked=checked)
    while not (one.exhausted and other.exhausted):
        bound = min(cursor.last for cursor in (one, other) if not cursor.exhausted)
        yield _window(one.take_through(bound), other.take_through(bound))


def _window(left: Rows | None, right: Rows | None) -> Window:
    # An empty stream has no schema of its own; its side then shows the other's, without rows.
    if left is None:
        left = right.through(0)  # type: ignore[union-attr]
    if right is None:
        right = left.through(0)
    return match(*left, *right)


def match(
    left: pa.RecordBatch, left_paths: pa.Array, right: pa.RecordBatch, right_paths: pa.Array
) -> Window:
    """Return the window of two batches that cover one range of paths."""
    runs = equal_runs(left_paths, right_paths)
    return Window(left, right, left_paths, right_paths, runs)


def are_alike(window: Window, names: Sequence[str]) -> bool:
    """Whether every row has a partner and none differs from it in one of these columns.

    Law: then `differing` is true nowhere. Costs a comparison of memory, or two with nulls.
    """
    return window.is_paired and not any(
        _may_differ(left, right) and any_of(unequal(left, right))
        for left, right in ((window.left.column(n), window.right.column(n)) for n in names)
    )


def differing_pairs(window: Window, names: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of rows that differ in one of these columns, in path order.

    Law: the pairs for which `differing` is true of one of them. Where nothing differs, no row is
    looked at by itself.
    """
    columns = [(window.left.column(name), window.right.column(name)) for name in names]
    if window.runs is None:
        found = np.logical_or.reduce([differing(window, name) for name in names])
        pairs = zip(
            window.left_rows[found].tolist(), window.right_rows[found].tolist(), strict=True
        )
        yield from pairs
        return
    for run in window.runs:
        unequal = [
            _unequal(*sides)
            for left, right in columns
            if _may_differ(*(sides := _sides(left, right, run)))
        ]
        for row in np.flatnonzero(np.logical_or.reduce(unequal)).tolist() if unequal else ():
            yield run.left + row, run.right + row


def differing(window: Window, name: str) -> np.ndarray:
    """Return for each matched pair whether it has two values in a column that differ.

    A null differs from nothing. Runs without a difference cost one comparison of memory.
    """
    left, right = window.left.column(name), window.right.column(name)
    if window.runs is None:
        return _unequal(
            taken(left, number_column(window.left_rows)),
            taken(right, number_column(window.right_rows)),
        )
    found = np.zeros(len(window.left_rows), dtype=bool)
    start = 0
    for run in window.runs:
        one, other = _sides(left, right, run)
        if _may_differ(one, other):
            found[start : start + run.rows] = _unequal(one, other)
        start += run.rows
    return found


def _sides(left: pa.Array, right: pa.Array, run: Run) -> tuple[pa.Array, pa.Array]:
    return left.slice(run.left, run.rows), right.slice(run.right, run.rows)


def _may_differ(left: pa.Array, right: pa.Array) -> bool:
    """Whether a pair of values may differ: a comparison of memory, but for nulls."""
    return bool(right.null_count < len(right) and not left.equals(right))


def _unequal(left: pa.Array, right: pa.Array) -> np.ndarray:
    if left.type == right.type and not (left.null_count or right.null_count):
        one, other = words(left), words(right)
        if one is not None and other is not None:
            # Word by word: a reduction along so short an axis is ten times as slow.
            pairs = zip(one.T, other.T, strict=True)
            found: np.ndarray = functools.reduce(np.logical_or, (a != b for a, b in pairs))
            return found
    return truths(unequal(left, right), null=False)


def _rows_by_hash(left: pa.Array, right: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    found = places_in(right, left)
    partner = np.where(numbers(present(found)), numbers(found), -1)
    right_rows = np.flatnonzero(partner >= 0)
    return partner[right_rows].astype(np.int64), right_rows


def _others(length: int, rows: np.ndarray) -> np.ndarray:
    return ascending(0, 0) if len(rows) == length else np.flatnonzero(~mask_of(length, rows))
