"""Which files of a scan can be copies of gold, which were read before, and where they occur."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dataguard.core.columns import kind_mask, number_column, numbers, truths
from dataguard.core.goldindex import Hits, digest_words

if TYPE_CHECKING:
    import pyarrow as pa

    from dataguard.core.align import Window
    from dataguard.core.goldindex import GoldIndex
    from dataguard.model.digest import DigestPlan

__all__ = ["Recalled", "Sizes", "candidates", "common_parts", "occurrences", "recall", "repeated"]

_SAME = ("size", "mtime_ns", "ctime_ns", "inode")
"""What a file has in common with itself at an earlier time, unless somebody changed it."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes worth reading: those of gold from `least` on, and `repeated` ones."""

    index: GoldIndex
    least: int
    repeated: np.ndarray

    def wanted(self, sizes: np.ndarray) -> np.ndarray:
        """Return for each size whether a file of it may be a copy of something."""
        found: np.ndarray = self.index.may_hold(sizes)
        if len(self.repeated):
            found |= np.isin(sizes, self.repeated)
        return found & (sizes >= max(self.least, 1))


class Recalled(NamedTuple):
    """Entries whose digests are known from before, and those that have to be read."""

    known: pa.RecordBatch
    unknown: pa.RecordBatch


def candidates(entries: pa.RecordBatch, sizes: Sizes) -> pa.RecordBatch:
    """Return the regular files that have one of the wanted sizes."""
    kept = kind_mask(entries, "f") & sizes.wanted(numbers(entries.column("size")))
    if kept.all():
        return entries
    return entries.take(number_column(np.flatnonzero(kept)))


def recall(window: Window) -> Recalled:
    """Part the entries on the left by whether those on the right have their digests.

    Law: each entry of the left is in one of the two, at its place in the order.
    """
    left, right = window.left_rows, window.right_rows
    same = truths(window.right.column("digest").is_valid(), null=False)[right]
    same &= ~truths(window.right.column("racy"), null=True)[right]
    for name in _SAME:
        one, other = numbers(window.left.column(name)), numbers(window.right.column(name))
        same &= one[left] == other[right]
    read = np.ones(window.left.num_rows, dtype=bool)
    read[left[same]] = False
    return Recalled(
        window.right.take(number_column(right[same])),
        window.left.take(number_column(np.flatnonzero(read))),
    )


def occurrences(entries: pa.RecordBatch, index: GoldIndex, plan: DigestPlan) -> Hits:
    """Return where these files, all of them digested, occur in gold; queries are their rows."""
    sizes = numbers(entries.column("size"))
    parts = []
    for algorithm in index.algorithms:
        name = "digest" if algorithm is plan.main else str(algorithm)
        parts.append(index.find(algorithm, sizes, digest_words(entries.column(name))))
    columns = [np.concatenate([part[i] for part in parts]) for i in range(3)] if parts else []
    if not columns:
        none = np.empty(0, np.int64)
        return Hits(none, none, none)
    order = np.lexsort((columns[2], columns[1], columns[0]))
    return Hits(*(column[order] for column in columns))


def repeated(sizes: np.ndarray) -> np.ndarray:
    """Return the sizes above 0 that occur more than once, ascending."""
    distinct, counts = np.unique(sizes, return_counts=True)
    found: np.ndarray = distinct[(counts > 1) & (distinct > 0)]
    return found


def common_parts(path: bytes, other: bytes) -> int:
    """Return how many components two paths share at their ends."""
    if path == other:
        return path.count(b"/") + 1
    count = 0
    for one, two in zip(reversed(path.split(b"/")), reversed(other.split(b"/")), strict=False):
        if one != two:
            break
        count += 1
    return count
