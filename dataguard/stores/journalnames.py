"""Which files of a directory are journals of `register`."""

from __future__ import annotations

import os

__all__ = ["SUFFIX", "journals_in"]

SUFFIX = ".journal"


def journals_in(directory: str) -> list[str]:
    """Return the names of the journals in a directory; none where it cannot be listed."""
    try:
        return [name for name in os.listdir(directory) if name.endswith(SUFFIX)]
    except OSError:
        return []
