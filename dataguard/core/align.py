"""Aligns two streams of entries by path, window by window, in constant memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from dataguard.core.columns import ascending, mask_of, number_column, numbers, raw_paths, truths
from dataguard.core.identity import check_order
from dataguard.core.runs import Run, equal_runs, rows_through

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

__all__ = ["Window", "align", "differing", "match"]

_NO_ROWS = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Window:
    """The rows of both streams in one range of paths.

    `left_rows[i]` and `right_rows[i]` are the same path; `only_left` and `only_right` are the
    rows without a partner. All are ascending row numbers into the two batches. `runs` are the
    pairs as ranges, in the same order; None where they are too scattered for that.
    """

    left: pa.RecordBatch
    right: pa.RecordBatch
    left_paths: pa.Array
    right_paths: pa.Array
    runs: tuple[Run, ...] | None
    left_rows: np.ndarray
    right_rows: np.ndarray
    only_left: np.ndarray
    only_right: np.ndarray


def align(
    left: Iterable[pa.RecordBatch], right: Iterable[pa.RecordBatch], *, checked: bool = False
) -> Iterator[Window]:
    """Yield windows that together hold every row of both streams once, in path order.

    `checked` says that whoever makes the streams has checked their order, as readers of manifests
    do.

    Raises:
        CatalogDamagedError: a stream is not in path order.
    """
    one, other = _Cursor(left, checked=checked), _Cursor(right, checked=checked)
    while not (one.exhausted and other.exhausted):
        bound = min(cursor.last for cursor in (one, other) if not cursor.exhausted)
        yield _matched(*one.take_through(bound), *other.take_through(bound))


class _Cursor:
    """The rows of a stream that were not taken yet; holds one batch."""

    def __init__(self, batches: Iterable[pa.RecordBatch], *, checked: bool) -> None:
        self._batches = iter(batches)
        self._checked = checked
        self._empty: pa.RecordBatch | None = None
        self._batch: pa.RecordBatch | None = None
        self._paths: pa.Array | None = None
        self.last = b""
        self._end: bytes | None = None
        self._advance()

    @property
    def exhausted(self) -> bool:
        return self._batch is None

    def take_through(self, bound: bytes) -> tuple[pa.RecordBatch | None, pa.Array | None]:
        """Take the rows with paths up to `bound` from the batch at hand."""
        if self._batch is None or self._paths is None:
            return self._nothing()
        if bound >= self.last:
            taken, paths = self._batch, self._paths
            self._advance()
            return taken, paths
        count = rows_through(self._paths, bound)
        taken, paths = self._batch.slice(0, count), self._paths.slice(0, count)
        self._batch, self._paths = self._batch.slice(count), self._paths.slice(count)
        return taken, paths

    def _advance(self) -> None:
        for batch in self._batches:
            if not batch.num_rows:
                continue
            self._batch, self._paths = batch, raw_paths(batch)
            self._empty = batch.slice(0, 0)
            if self._checked:
                self.last = self._paths[len(self._paths) - 1].as_py()
            else:
                self.last = self._end = check_order(self._paths, self._end)
            return
        self._batch = None

    def _nothing(self) -> tuple[pa.RecordBatch | None, pa.Array | None]:
        return self._empty, None if self._empty is None else raw_paths(self._empty)


def _matched(
    left: pa.RecordBatch | None,
    left_paths: pa.Array | None,
    right: pa.RecordBatch | None,
    right_paths: pa.Array | None,
) -> Window:
    # An empty stream has no schema of its own; its side then shows the other's, without rows.
    if left is None or left_paths is None:
        left, left_paths = right.slice(0, 0), right_paths.slice(0, 0)  # type: ignore[union-attr]
    if right is None or right_paths is None:
        right, right_paths = left.slice(0, 0), left_paths.slice(0, 0)
    return match(left, left_paths, right, right_paths)


def match(
    left: pa.RecordBatch, left_paths: pa.Array, right: pa.RecordBatch, right_paths: pa.Array
) -> Window:
    """Return the window of two batches that cover one range of paths."""
    runs = equal_runs(left_paths, right_paths)
    if runs is None:
        left_rows, right_rows = _rows_by_hash(left_paths, right_paths)
    else:
        left_rows = _rows_of([(run.left, run.rows) for run in runs])
        right_rows = _rows_of([(run.right, run.rows) for run in runs])
    only_left, only_right = (
        _others(len(left_paths), left_rows),
        _others(len(right_paths), right_rows),
    )
    return Window(
        left, right, left_paths, right_paths, runs, left_rows, right_rows, only_left, only_right
    )


def differing(window: Window, name: str) -> np.ndarray:
    """Return for each matched pair whether it has two values in a column that differ.

    A null differs from nothing. Runs without a difference cost one comparison of memory.
    """
    left, right = window.left.column(name), window.right.column(name)
    if window.runs is None:
        return _unequal(
            left.take(number_column(window.left_rows)), right.take(number_column(window.right_rows))
        )
    found = np.zeros(len(window.left_rows), dtype=bool)
    start = 0
    for run in window.runs:
        one, other = left.slice(run.left, run.rows), right.slice(run.right, run.rows)
        if other.null_count < run.rows and not one.equals(other):
            found[start : start + run.rows] = _unequal(one, other)
        start += run.rows
    return found


def _unequal(left: pa.Array, right: pa.Array) -> np.ndarray:
    return truths(pc.not_equal(left, right), null=False)


def _rows_by_hash(left: pa.Array, right: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    found = pc.index_in(right, value_set=left)
    partner = np.where(numbers(found.is_valid()), numbers(found), -1)
    right_rows = np.flatnonzero(partner >= 0)
    return partner[right_rows].astype(np.int64), right_rows


def _rows_of(ranges: list[tuple[int, int]]) -> np.ndarray:
    parts = [ascending(start, start + rows) for start, rows in ranges]
    return parts[0] if len(parts) == 1 else np.concatenate([_NO_ROWS, *parts])


def _others(length: int, rows: np.ndarray) -> np.ndarray:
    return _NO_ROWS if len(rows) == length else np.flatnonzero(~mask_of(length, rows))
