"""How fast a process may read: it sleeps where it has read more than its share of bytes.

What was read is what the kernel counts for the process (`rchar` in `/proc/self/io`, proc(5)):
whoever reads, and by whatever library. Imports little, since workers load it.
"""

from __future__ import annotations

import errno
import os
import time
from functools import lru_cache

__all__ = ["Pace", "pace_of"]

_COUNTER = "/proc/self/io"
_BURST_S = 0.25
"""So much time's bytes may be read at once after a pause."""


class Pace:
    """Keeps what a process reads below a number of bytes a second, from now on."""

    def __init__(self, rate: int) -> None:
        """Begin to count.

        Raises:
            OSError: the kernel does not tell how much was read.
        """
        self._rate = rate
        self._descriptor = os.open(_COUNTER, os.O_RDONLY | os.O_CLOEXEC)
        self._asked = 0
        self._read = self._bytes()
        self._free_at = time.monotonic()

    def keep(self) -> None:
        """Sleep until what was read since is paid for."""
        now, read = time.monotonic(), self._bytes()
        owed = (read - self._read) / self._rate
        self._read = read
        self._free_at = max(self._free_at, now - _BURST_S) + owed
        if self._free_at > now:
            time.sleep(self._free_at - now)

    def close(self) -> None:
        """Count no more."""
        os.close(self._descriptor)

    def _bytes(self) -> int:
        """Return what was read until now, without what it takes to ask."""
        answer = os.pread(self._descriptor, 64, 0)
        name, _, count = answer.partition(b"\n")[0].partition(b": ")
        if name != b"rchar":
            raise OSError(errno.ENOTSUP, "the kernel does not count what processes read", _COUNTER)
        found = int(count) - self._asked
        self._asked += len(answer)
        return found


@lru_cache(maxsize=1)
def pace_of(rate: int) -> Pace | None:
    """Return the one pace of this process; None where it may read as fast as it can (0).

    Raises:
        OSError: the kernel does not tell how much was read.
    """
    return Pace(rate) if rate else None
