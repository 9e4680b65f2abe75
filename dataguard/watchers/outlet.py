"""What a source saw, on its way from the thread that saw it to whoever reads."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from dataguard.model.watch import ChangeKind, Gap, GapKind, Sighting, WatchEvent, Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

__all__ = ["Outlet", "Queue"]

_MOST = 200_000
"""Sightings kept for a reader that does not come; some 60 MB."""


class Queue:
    """Sightings of one or several sources that wait for one reader, in the order they came.

    While `is_crowded` the reader has enough: sources keep events back that take less room there.
    """

    def __init__(self, *, most: int = _MOST) -> None:
        self.most = most
        self.is_crowded = False
        self._filled = threading.Condition()
        self._waiting: list[Sighting] = []

    def put(self, sighting: Sighting) -> None:
        """Add at the end; an event like the last one that still waits is the same news."""
        with self._filled:
            if not (self._waiting and _repeats(sighting, self._waiting[-1])):
                self._waiting.append(sighting)
                self._filled.notify()

    def is_full(self) -> bool:
        """Whether events are to be given up."""
        return len(self._waiting) >= self.most

    def take(self, timeout: float) -> tuple[Sighting, ...]:
        """Return all there is, after at most `timeout` seconds for the first."""
        with self._filled:
            self._filled.wait_for(lambda: self._waiting, max(timeout, 0.0))
            found, self._waiting = self._waiting, []
        return tuple(found)


class Outlet:
    """Where one source's thread puts what it saw, and its signs of life.

    Where too many wait, later events are given up for one overflow gap of each root.
    """

    def __init__(self, clock: Callable[[], datetime], queue: Queue | None = None) -> None:
        self._clock = clock
        self._queue = queue or Queue()
        self._given_up: set[bytes] = set()
        self.pulse = time.monotonic()
        self.drained = self.pulse
        self.canary_seen = 0.0

    def event(
        self,
        place: tuple[bytes, bytes],
        kind: ChangeKind,
        *,
        is_directory: bool = False,
        renamed_from: bytes | None = None,
        writer: Writer | None = None,
    ) -> None:
        """Report a change at a root and a path below it; what repeats the last event is merged."""
        root, path = place
        if self._queue.is_full():
            self._give_up(root)
            return
        self._given_up.clear()
        now = self._clock()
        self._queue.put(WatchEvent(root, path, kind, now, is_directory, renamed_from, writer))

    @property
    def is_crowded(self) -> bool:
        """Whether whoever reads has enough."""
        return self._queue.is_crowded

    def crowd(self, *, crowded: bool) -> None:
        """Take note of whether whoever reads has enough."""
        self._queue.is_crowded = crowded

    def gap(self, root: bytes, path: bytes, kind: GapKind, message: str) -> Gap:
        """Report what could not be seen, and return it; never given up."""
        found = Gap(root, path, kind, message, self._clock())
        self.put(found)
        return found

    def put(self, gap: Gap) -> None:
        """Report a gap."""
        self._queue.put(gap)

    def take(self, timeout: float) -> tuple[Sighting, ...]:
        """Return all there is, after at most `timeout` seconds for the first."""
        return self._queue.take(timeout)

    def now(self) -> datetime:
        """Return the time."""
        return self._clock()

    def beat(self) -> None:
        """Say that the thread is at work."""
        self.pulse = time.monotonic()

    def empty(self) -> None:
        """Say that the kernel had nothing more to tell."""
        self.pulse = self.drained = time.monotonic()

    def canary(self) -> None:
        """Say that the event of the canary came."""
        self.canary_seen = time.monotonic()

    def lost(self, roots: Sequence[bytes], message: str) -> None:
        """Report that events were given up, of whatever root; the canary's may be among them."""
        self.canary()
        for root in roots:
            self.gap(root, root, GapKind.OVERFLOW, message)

    def _give_up(self, root: bytes) -> None:
        if root not in self._given_up:
            self._given_up.add(root)
            message = f"{self._queue.most} events wait to be judged: later ones were given up"
            self.gap(root, root, GapKind.OVERFLOW, message)


def _repeats(later: Sighting, earlier: Sighting) -> bool:
    return (
        isinstance(later, WatchEvent)
        and isinstance(earlier, WatchEvent)
        and (later.path, later.kind, later.root) == (earlier.path, earlier.kind, earlier.root)
        and (later.renamed_from, later.writer) == (earlier.renamed_from, earlier.writer)
    )
