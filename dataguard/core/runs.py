"""Where two ascending columns of paths agree, found by comparing memory and by galloping."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dataguard.core.columns import ascending
from dataguard.core.numeric import np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

__all__ = ["Run", "equal_runs", "gaps", "lefts", "rights", "rows_of", "rows_through"]

_FIRST_STRIDE = 1_024
_TURNS_MAX = 256
"""A turn costs about as much as hashing a thousand paths: beyond these, hashing is cheaper."""


class Run(NamedTuple):
    """Rows of two columns, from `left` and from `right` on, that hold the same paths."""

    left: int
    right: int
    rows: int


def equal_runs(left: pa.Array, right: pa.Array) -> tuple[Run, ...] | None:
    """Return all pairs of equal paths as runs, in order; None where there are too many.

    Both columns must be strictly ascending. Where they agree, the cost is that of comparing
    memory; each difference adds a few comparisons of short slices.
    """
    runs: list[Run] = []
    i = j = 0
    for _ in range(_TURNS_MAX):
        rows = _common(left, i, right, j)
        if rows:
            runs.append(Run(i, j, rows))
            i, j = i + rows, j + rows
        if i == len(left) or j == len(right):
            return tuple(runs)
        one, other = left[i].as_py(), right[j].as_py()
        if one < other:
            i = _first_from(left, i, other)
        else:
            j = _first_from(right, j, one)
    return None


def lefts(runs: Iterable[Run]) -> Iterator[tuple[int, int]]:
    """Yield where each run starts on the left, and its rows."""
    return ((run.left, run.rows) for run in runs)


def rights(runs: Iterable[Run]) -> Iterator[tuple[int, int]]:
    """Yield where each run starts on the right, and its rows."""
    return ((run.right, run.rows) for run in runs)


def gaps(ranges: Iterable[tuple[int, int]], length: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges (start, rows) that these ascending ones leave of `length` rows."""
    done = 0
    for start, rows in ranges:
        if start > done:
            yield done, start - done
        done = start + rows
    if length > done:
        yield done, length - done


def rows_of(ranges: Iterable[tuple[int, int]]) -> np.ndarray:
    """Return the row numbers of ascending ranges (start, rows); not to be written to."""
    parts = [ascending(start, start + rows) for start, rows in ranges]
    return parts[0] if len(parts) == 1 else np.concatenate([ascending(0, 0), *parts])


def rows_through(paths: pa.Array, bound: bytes) -> int:
    """Return how many of these ascending paths are at most `bound`."""
    return _bisect(paths, 0, len(paths), bound, through=True)


def _common(left: pa.Array, i: int, right: pa.Array, j: int) -> int:
    """Return how many paths from `i` and from `j` on are the same."""
    limit = min(len(left) - i, len(right) - j)
    # Two manifests of one version and most windows of an audit are the same as a whole.
    if i == j == 0 and left.slice(0, limit).equals(right.slice(0, limit)):
        return limit
    same, stride = 0, _FIRST_STRIDE
    while same < limit:
        rows = min(stride, limit - same)
        if not left.slice(i + same, rows).equals(right.slice(j + same, rows)):
            return same + _until_difference(left, i + same, right, j + same, rows)
        same, stride = same + rows, stride * 2
    return same


def _until_difference(left: pa.Array, i: int, right: pa.Array, j: int, rows: int) -> int:
    """Return how many paths agree before the first that differs, among these `rows`."""
    same = 0
    while rows > 1:
        half = rows // 2
        if left.slice(i + same, half).equals(right.slice(j + same, half)):
            same, rows = same + half, rows - half
        else:
            rows = half
    return same


def _first_from(paths: pa.Array, start: int, bound: bytes) -> int:
    """Return the first row from `start` on with a path of at least `bound`."""
    stride, low = 1, start
    while low + stride < len(paths) and paths[low + stride].as_py() < bound:
        low, stride = low + stride, stride * 2
    return _bisect(paths, low, min(low + stride, len(paths)), bound, through=False)


def _bisect(paths: pa.Array, low: int, high: int, bound: bytes, *, through: bool) -> int:
    while low < high:
        middle = (low + high) // 2
        path = paths[middle].as_py()
        if path < bound or (through and path == bound):
            low = middle + 1
        else:
            high = middle
    return low
