"""Lists of files that other programs made: one path an entry, ended by NUL or by a newline."""

from __future__ import annotations

import os
import sys

from dataguard.errors import UsageError

__all__ = ["read_list"]


def read_list(name: str) -> tuple[bytes, ...]:
    """Return the absolute paths that a file names, or stdin for `-`.

    Where a NUL is in it, entries end with NUL and may hold newlines.

    Raises:
        UsageError: it cannot be read, or a path in it is not absolute.
    """
    try:
        if name == "-":
            data = sys.stdin.buffer.read()
        else:
            with open(name, "rb") as file:
                data = file.read()
    except OSError as err:
        raise UsageError(f"cannot read the list {name}: {err.strerror}") from err
    found = tuple(path for path in data.split(b"\0" if b"\0" in data else b"\n") if path)
    for path in found:
        if not os.path.isabs(path):
            raise UsageError(
                f"not an absolute path in the list: {os.fsdecode(path)!r}",
                hint='find "$PWD" -type f -print0 > LIST',
            )
    return found
