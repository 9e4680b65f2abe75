"""A file that is written to see whether its event comes back."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time

__all__ = ["Canary"]

_MEMORY = "/dev/shm"  # noqa: S108  the directory made in it is private
_EVERY_S = 2.0
_PATIENCE_S = 1.0
_STUCK_S = 4.0


class Canary:
    """A private directory whose events a live source reports.

    Its place is memory where there is any: a write every two seconds keeps no disk awake.
    """

    def __init__(self, place: str = _MEMORY) -> None:
        usable = os.access(place, os.W_OK | os.X_OK)
        made = tempfile.mkdtemp(prefix="dataguard-watch-", dir=place if usable else None)
        self.directory = os.fsencode(made)
        self._file = os.path.join(made, "canary")
        self._sung = 0.0

    def sing(self) -> None:
        """Write the file where two seconds have passed since the last time.

        Raises:
            OSError: the place is full or gone.
        """
        now = time.monotonic()
        if now - self._sung >= _EVERY_S:
            with open(self._file, "wb"):
                pass
            self._sung = time.monotonic()

    def is_lost(self, seen: float, pulse: float, drained: float) -> bool:
        """Whether an event did not come: times on the monotonic clock.

        It has not been seen since it was written; the reader has since found nothing more to read,
        or does not move at all. A reader that is busy with a burst is not lost.
        """
        if self._sung == 0.0 or seen >= self._sung - _PATIENCE_S:
            return False
        now = time.monotonic()
        return drained > self._sung + _PATIENCE_S or now - max(pulse, self._sung) > _STUCK_S

    def close(self) -> None:
        """Take the directory away."""
        with contextlib.suppress(OSError):
            shutil.rmtree(self.directory)
