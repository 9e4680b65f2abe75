"""Compares files that have a chunk in common: how far the same bytes go to both sides."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dataguard.core.chunkmatch import Span
from dataguard.core.numeric import np

if TYPE_CHECKING:
    from dataguard.core.chunkmatch import Hit

__all__ = ["common_span"]

_PIECE = 1 << 18


def common_span(file: int, gold: int, hit: Hit, room: tuple[int, int]) -> Span | None:
    """Return the bytes around a hit that two open files have in common; None: not even the hit.

    Only what lies in `room`, offsets of the file, is looked at.

    Raises:
        OSError: one cannot be read.
    """
    shift = hit.original - hit.offset
    first, last = max(hit.offset, room[0]), min(hit.offset + hit.length, room[1])
    if _agreeing(file, gold, first, last, shift) < last:
        return None
    end = _agreeing(file, gold, last, room[1], shift)
    start = _agreeing_before(file, gold, first, max(room[0], -shift), shift)
    return Span(start, end - start, hit.version, hit.row, start + shift)


def _agreeing(file: int, gold: int, start: int, end: int, shift: int) -> int:
    """Return the offset up to which the files agree from `start`, `end` at most."""
    while start < end:
        length = min(_PIECE, end - start)
        left, right = os.pread(file, length, start), os.pread(gold, length, start + shift)
        same = min(len(left), len(right))
        if left[:same] != right[:same]:
            return start + int(np.argmax(_differ(left[:same], right[:same])))
        start += same
        if same < length:
            break
    return start


def _agreeing_before(file: int, gold: int, end: int, start: int, shift: int) -> int:
    """Return the offset from which the files agree up to `end`, `start` at least."""
    while start < end:
        length = min(_PIECE, end - start)
        left = os.pread(file, length, end - length)
        right = os.pread(gold, length, end - length + shift)
        if len(left) < length or len(right) < length:  # cut off meanwhile: told by their times
            break
        if left != right:
            return end - int(np.argmax(_differ(left, right)[::-1]))
        end -= length
    return end


def _differ(left: bytes, right: bytes) -> np.ndarray:
    differ: np.ndarray = np.frombuffer(left, np.uint8) != np.frombuffer(right, np.uint8)
    return differ
