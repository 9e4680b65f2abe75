"""Sizes as users write them: `4096`, `64K`, `1.5T`."""

from __future__ import annotations

import re

from dataguard.errors import UsageError

__all__ = ["parse_size"]

_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,3})?)([KMGT]?)(?:i?B)?", re.IGNORECASE)
_FACTORS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def parse_size(text: str) -> int:
    """Read a number of bytes, or one with K, M, G or T, which are powers of 1024.

    Raises:
        UsageError: the text has another form.
    """
    found = _SIZE.fullmatch(text)
    if found is None or ("." in found[1] and not found[2]):
        raise UsageError(f"`{text}` is no size", hint="write bytes, or K, M, G, T: 4096, 64K, 1M")
    factor = _FACTORS[found[2].upper()]
    return int(float(found[1]) * factor) if "." in found[1] else int(found[1]) * factor
