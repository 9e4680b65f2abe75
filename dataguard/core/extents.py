"""What extents say of the space that files take and share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Extent", "own_bytes", "shared_bytes"]


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
