"""What extents say of the space that files take and share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = [
    "Extent",
    "bytes_of_others",
    "common_bytes",
    "have_same_blocks",
    "own_bytes",
    "shared_bytes",
]


@dataclass(frozen=True, slots=True)
class Extent:
    """A run of blocks of a file; `physical` means something only where it is `placed`.

    `shared` says that something else uses the blocks too.
    """

    logical: int
    physical: int
    length: int
    shared: bool = False
    placed: bool = True


def own_bytes(extents: Iterable[Extent], size: int, block: int) -> int:
    """Return what the blocks of a file up to its end take that nothing else uses."""
    end = -(-size // block) * block
    return sum(
        max(min(one.logical + one.length, end) - one.logical, 0)
        for one in extents
        if one.placed and not one.shared
    )


def shared_bytes(left: Sequence[Extent], right: Sequence[Extent]) -> int:
    """Return how many bytes two files have in the same blocks at the same place in both.

    Both in the order of the file. Law: `shared_bytes(a, b) == shared_bytes(b, a)`.
    """
    total, i, j = 0, 0, 0
    while i < len(left) and j < len(right):
        a, b = left[i], right[j]
        start = max(a.logical, b.logical)
        end = min(a.logical + a.length, b.logical + b.length)
        same = a.physical - a.logical == b.physical - b.logical
        if start < end and a.placed and b.placed and same:
            total += end - start
        if a.logical + a.length <= b.logical + b.length:
            i += 1
        else:
            j += 1
    return total


def bytes_of_others(extents: Iterable[Extent]) -> int:
    """Return what the blocks of a file take that something else uses too."""
    return sum(one.length for one in extents if one.shared)


def have_same_blocks(extents: Sequence[Extent], others: Sequence[Extent]) -> bool:
    """Whether all blocks of a file, of which it has some, are those of another."""
    whole = sum(one.length for one in extents)
    return bool(extents) and shared_bytes(extents, others) == whole


def common_bytes(files: Iterable[Sequence[Extent]]) -> int:
    """Return what the blocks take that at least two of these files of one file system use."""
    ends = sorted(end for extents in files for end in _ends(extents))
    total = depth = before = 0
    for place, change in ends:
        total += place - before if depth > 1 else 0
        depth, before = depth + change, place
    return total


def _ends(extents: Sequence[Extent]) -> Iterator[tuple[int, int]]:
    """Yield where ranges of blocks begin and end, each block of the file once."""
    reached = -1
    for start, stop in sorted((one.physical, one.physical + one.length) for one in extents):
        if stop > reached:
            yield max(start, reached), 1
            yield stop, -1
            reached = stop
