"""Which files of a scan can be copies of gold, which were read before, and where they occur."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dataguard.core.columns import (
    are_files,
    content_of,
    fixed_bytes,
    kind_mask,
    little_endian,
    number_column,
    numbers,
    truths,
)
from dataguard.core.goldindex import Hit
from dataguard.core.goldmaking import digest_words
from dataguard.core.kernels import kept, present, taken
from dataguard.core.numeric import np
from dataguard.core.signature import FACTORS

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

    from dataguard.core.align import Window
    from dataguard.core.goldindex import GoldIndex
    from dataguard.core.wantedsizes import Sizes
    from dataguard.model.digest import DigestPlan

__all__ = [
    "Recalled",
    "by_digest",
    "candidates",
    "common_parts",
    "files_of",
    "occurrences",
    "recall",
    "repeated",
    "signatures",
    "unchanged",
]

_FEW = 20_000
"""Contents that are looked up one by one in the time that numpy takes to load."""

_SAME = ("size", "mtime_ns", "ctime_ns", "inode")
"""What a file has in common with itself at an earlier time, unless somebody changed it."""


class Recalled(NamedTuple):
    """Entries whose digests are known from before, and those that have to be read."""

    known: pa.RecordBatch
    unknown: pa.RecordBatch


def candidates(entries: pa.RecordBatch, sizes: Sizes) -> pa.RecordBatch:
    """Return the regular files that have one of the wanted sizes."""
    wanted = kind_mask(entries, "f") & sizes.wanted(numbers(entries.column("size")))
    if wanted.all():
        return entries
    return taken(entries, number_column(np.flatnonzero(wanted)))


def files_of(entries: pa.RecordBatch) -> pa.RecordBatch:
    """Return the regular files."""
    kinds = entries.column("kind")
    if bytes(content_of(kinds)).count(b"f") == len(kinds):
        return entries
    return kept(entries, are_files(kinds))


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
    if not entries.column("digest").null_count:
        return entries, entries.slice(0, 0)
    read = truths(present(entries.column("digest")), null=False)
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


def occurrences(entries: pa.RecordBatch, index: GoldIndex, plan: DigestPlan) -> list[Hit]:
    """Return where these files, all of them digested, occur in gold; queries are their rows.

    They come in the order of rows, then versions, then rows of their manifests.
    """
    found: list[Hit] = []
    for algorithm in index.algorithms:
        digests = entries.column("digest" if algorithm is plan.main else str(algorithm))
        sizes = entries.column("size")
        if entries.num_rows <= _FEW:
            lengths = little_endian(sizes).cast("q").tolist()
            found += index.find_few(algorithm, lengths, fixed_bytes(digests).cast("Q"))
        else:
            hits = index.find(algorithm, numbers(sizes), digest_words(digests))
            found += map(Hit._make, zip(*(column.tolist() for column in hits), strict=True))
    return found if len(index.algorithms) == 1 else sorted(found)


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
