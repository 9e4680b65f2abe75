"""Copying gold out to files: complete or absent."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from dataguard.stores.pinnedsource import PinnedSource

__all__ = ["copy_out", "pour"]

_PIECE = 4 << 20


def pour(
    source: PinnedSource, write: Callable[[memoryview], Any], done: Callable[[int], Any]
) -> None:
    """Give everything of a source to `write`, and the number of bytes of each piece to `done`.

    Raises:
        ChangedGoldError: it is not what is pinned.
        OSError: it cannot be read.
    """
    buffer, offset = memoryview(bytearray(min(max(source.size, 1), _PIECE))), 0
    while count := source.read_into(offset, buffer):
        write(buffer[:count])
        offset += count
        done(count)


def copy_out(source: PinnedSource, destination: str, done: Callable[[int], Any]) -> None:
    """Write a source to a file, which is replaced when all is there and was found right.

    What is no regular file, as a device, is written to as it is.

    Raises:
        ChangedGoldError: the source is not what is pinned; the destination is as it was.
        OSError: it cannot be read or written.
    """
    os.makedirs(os.path.dirname(destination), exist_ok=True)
    if not _is_replaceable(destination):
        with open(destination, "wb") as file:
            pour(source, file.write, done)
        return
    draft = f"{destination[:200]}.{secrets.token_hex(6)}.part"
    try:
        with open(draft, "xb", buffering=0) as file:
            pour(source, lambda data: _write_all(file.write, data), done)
        os.replace(draft, destination)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)
        raise


def _write_all(write: Callable[[memoryview], int | None], data: memoryview) -> None:
    while data:
        data = data[write(data) or 0 :]


def _is_replaceable(destination: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(destination).st_mode)
    except FileNotFoundError:
        return True
