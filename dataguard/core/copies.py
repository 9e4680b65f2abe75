"""Which files of a scan can be copies of gold, which were read before, and where they occur."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from dataguard.core.columns import kind_mask, number_column, numbers, truths
from dataguard.core.goldindex import Hits, digest_words
from dataguard.core.kernels import present, taken
from dataguard.core.numeric import np
from dataguard.core.signature import FACTORS

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

    from dataguard.core.align import Window
    from dataguard.core.goldindex import GoldIndex
    from dataguard.model.digest import DigestPlan

__all__ = [
    "Recalled",
    "Sizes",
    "by_digest",
    "candidates",
    "common_parts",
    "occurrences",
    "recall",
    "repeated",
    "signatures",
    "unchanged",
]

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

    def below(self, limit: int) -> np.ndarray:
        """Return a byte for each size below a limit: 1 where it is wanted."""
        table = np.zeros(limit, np.uint8)
        sizes = self._distinct()
        table[sizes[sizes < limit]] = 1
        return table

    def above(self, limit: int) -> np.ndarray:
        """Return the wanted sizes from a limit on, ascending."""
        sizes = self._distinct()
        return sizes[sizes >= limit]

    def _distinct(self) -> np.ndarray:
        found: np.ndarray = self.index.sizes
        if len(self.repeated):
            found = np.unique(np.concatenate([found, self.repeated]))
        return found[found >= max(self.least, 1)]


class Recalled(NamedTuple):
    """Entries whose digests are known from before, and those that have to be read."""

    known: pa.RecordBatch
    unknown: pa.RecordBatch


def candidates(entries: pa.RecordBatch, sizes: Sizes) -> pa.RecordBatch:
    """Return the regular files that have one of the wanted sizes."""
    kept = kind_mask(entries, "f") & sizes.wanted(numbers(entries.column("size")))
    if kept.all():
        return entries
    return taken(entries, number_column(np.flatnonzero(kept)))


def signatures(batches: Iterable[pa.RecordBatch]) -> np.ndarray:
    """Return the signatures of the entries whose digests can be relied on, ascending."""
    parts = [np.empty(0, np.uint64)]
    for batch in batches:
        usable = truths(present(batch.column("digest")), null=False)
        usable &= ~truths(batch.column("racy"), null=True)
        mixed = np.zeros(batch.num_rows, np.uint64)
        for name, factor in zip(("inode", "mtime_ns", "ctime_ns"), FACTORS, strict=True):
            mixed ^= numbers(batch.column(name)).view(np.uint64) * np.uint64(factor)
        parts.append(mixed[usable])
    return np.sort(np.concatenate(parts))


def by_digest(entries: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """Part entries by whether they were read."""
    read = truths(present(entries.column("digest")), null=False)
    if read.all():
        return entries, entries.slice(0, 0)
    return (
        taken(entries, number_column(np.flatnonzero(read))),
        taken(entries, number_column(np.flatnonzero(~read))),
    )


def recall(window: Window) -> Recalled:
    """Part the entries on the left by whether those on the right have their digests.

    Law: each entry of the left is in one of the two, at its place in the order.
    """
    left, right = window.left_rows, window.right_rows
    same = truths(present(window.right.column("digest")), null=False)[right] & unchanged(window)
    read = np.ones(window.left.num_rows, dtype=bool)
    read[left[same]] = False
    return Recalled(
        taken(window.right, number_column(right[same])),
        taken(window.left, number_column(np.flatnonzero(read))),
    )


def unchanged(window: Window) -> np.ndarray:
    """Return of each pair of a window whether the file on the left is that on the right.

    One that may have been changed within a tick of the clock when it was noted is not.
    """
    left, right = window.left_rows, window.right_rows
    same: np.ndarray = ~truths(window.right.column("racy"), null=True)[right]
    for name in _SAME:
        one, other = numbers(window.left.column(name)), numbers(window.right.column(name))
        same &= one[left] == other[right]
    return same


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
    if path.rpartition(b"/")[2] != other.rpartition(b"/")[2]:
        return 0
    count = 0
    for one, two in zip(reversed(path.split(b"/")), reversed(other.split(b"/")), strict=False):
        if one != two:
            break
        count += 1
    return count
