"""One number for what a file has in common with itself at another time.

Imports little, since workers load it; `core/copies.py` has the same for columns.
"""

from __future__ import annotations

__all__ = ["FACTORS", "signature"]

FACTORS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)
"""Odd numbers that spread inode, mtime and ctime over 64 bits."""

_MASK = (1 << 64) - 1


def signature(inode: int, mtime_ns: int, ctime_ns: int) -> int:
    """Return 64 bits that differ, but for a rare accident, where one of the three does."""
    one, two, three = FACTORS
    return (inode * one ^ mtime_ns * two ^ ctime_ns * three) & _MASK
