"""Processes that stand in a directory, or hold one in it open, as far as `/proc` shows them."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["standing_in"]


def standing_in(place: bytes) -> int | None:
    """Return a process whose working or root directory, or an open one, is a place or below it.

    Other users' processes are not shown to ordinary users. Descriptors of this process itself do
    not count.
    """
    inside = place.rstrip(b"/") + b"/"
    for pid in filter(bytes.isdigit, os.listdir(b"/proc")):
        for path in _places(pid):
            if path == place or path.startswith(inside):
                return int(pid)
    return None


def _places(pid: bytes) -> Iterator[bytes]:
    process = b"/proc/" + pid
    for name in (b"/cwd", b"/root"):
        with suppress(OSError):  # gone by now, or not for us to see
            yield os.readlink(process + name)
    if int(pid) == os.getpid():
        return
    with suppress(OSError):
        for number in os.listdir(process + b"/fd"):
            with suppress(OSError):
                yield os.readlink(process + b"/fd/" + number)
