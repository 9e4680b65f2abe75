"""Aligns two streams of entries by path, window by window, in constant memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from dataguard.core.columns import mask_of, numbers, raw_paths
from dataguard.core.identity import check_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

__all__ = ["Window", "align", "match", "rows_through"]


@dataclass(frozen=True, slots=True)
class Window:
    """The rows of both streams in one range of paths.

    `left_rows[i]` and `right_rows[i]` are the same path; `only_left` and `only_right` are the
    rows without a partner. All are ascending row numbers into the two batches.
    """

    left: pa.RecordBatch
    right: pa.RecordBatch
    left_paths: pa.Array
    right_paths: pa.Array
    left_rows: np.ndarray
    right_rows: np.ndarray
    only_left: np.ndarray
    only_right: np.ndarray


def align(left: Iterable[pa.RecordBatch], right: Iterable[pa.RecordBatch]) -> Iterator[Window]:
    """Yield windows that together hold every row of both streams once, in path order.

    Raises:
        CatalogDamagedError: a stream is not in path order.
    """
    one, other = _Cursor(left), _Cursor(right)
    while not (one.exhausted and other.exhausted):
        bound = min(cursor.last for cursor in (one, other) if not cursor.exhausted)
        yield _matched(*one.take_through(bound), *other.take_through(bound))


class _Cursor:
    """The rows of a stream that were not taken yet; holds one batch."""

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        self._batches = iter(batches)
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
            self.last = self._end = check_order(self._paths, self._end)
            return
        self._batch = None

    def _nothing(self) -> tuple[pa.RecordBatch | None, pa.Array | None]:
        return self._empty, None if self._empty is None else raw_paths(self._empty)


def rows_through(paths: pa.Array, bound: bytes) -> int:
    """Return how many of these ascending paths are at most `bound`."""
    low, high = 0, len(paths)
    while low < high:
        middle = (low + high) // 2
        if paths[middle].as_py() <= bound:
            low = middle + 1
        else:
            high = middle
    return low


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
    none = np.empty(0, dtype=np.int64)
    if left_paths.equals(right_paths):
        rows = np.arange(len(left_paths))
        return Window(left, right, left_paths, right_paths, rows, rows, none, none)
    found = pc.index_in(right_paths, value_set=left_paths)
    partner = np.where(numbers(found.is_valid()), numbers(found), -1)
    right_rows = np.flatnonzero(partner >= 0)
    left_rows = partner[right_rows]
    only_left = np.flatnonzero(~mask_of(len(left_paths), left_rows))
    only_right = np.flatnonzero(partner < 0)
    return Window(
        left, right, left_paths, right_paths, left_rows, right_rows, only_left, only_right
    )
