"""A file that is written to see whether its event comes back."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time

__all__ = ["Canary"]

_MEMORY = "/dev/shm"  # noqa: S108  the directory made in it is private
_PREFIX, _LOCK = "dataguard-watch-", "lock"
_EVERY_S = 2.0
_PATIENCE_S = 1.0
_STUCK_S = 4.0


class Canary:
    """A private directory whose events a live source reports.

    Its place is memory where there is any: a write every two seconds keeps no disk awake. A lock
    tells that its process lives; directories of killed ones are taken away by the next.

    Raises:
        OSError: there is nowhere to make it.
    """

    def __init__(self, place: str = _MEMORY) -> None:
        usable = os.access(place, os.W_OK | os.X_OK)
        above = place if usable else tempfile.gettempdir()
        _sweep(above)
        made = tempfile.mkdtemp(prefix=_PREFIX, dir=above)
        fresh = os.path.join(made, "fresh")
        self._lock = os.open(fresh, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        os.rename(fresh, os.path.join(made, _LOCK))  # never there without being locked
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
        shutil.rmtree(self.directory, ignore_errors=True)
        os.close(self._lock)


def _sweep(above: str) -> None:
    """Take away what killed watchers of this user left."""
    with contextlib.suppress(OSError), os.scandir(above) as items:
        for item in items:
            if item.name.startswith(_PREFIX) and item.is_dir(follow_symlinks=False):
                _take_away_if_dead(item)


def _take_away_if_dead(item: os.DirEntry[str]) -> None:
    with contextlib.suppress(OSError):  # not ours, or gone meanwhile
        if item.stat(follow_symlinks=False).st_uid != os.geteuid():
            return
        lock = os.open(os.path.join(item.path, _LOCK), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(item.path, ignore_errors=True)
        finally:
            os.close(lock)
