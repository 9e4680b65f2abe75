"""A source of events on a thread of its own, with what makes any source honest."""

from __future__ import annotations

import os
import select
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.errors import ConflictError, StoreUnreachableError
from dataguard.model.watch import Gap, GapKind
from dataguard.watchers.canary import Canary
from dataguard.watchers.outlet import Outlet, Queue
from dataguard.watchers.rootguard import Loss, RootGuard

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from dataguard.model.watch import Coverage, Sighting, Source
    from dataguard.watchers.sensor import Sensor

__all__ = ["SensorWatcher"]

_HEARTBEAT_S = 1.0
_STUCK_S = 4.0
_REPEAT_S = 60.0
_PATIENCE_S = 10.0
_AGAIN = "is watched again from now on; what happened in between is not known"


class SensorWatcher:
    """A `Watcher` made of a sensor: its thread, its roots, its canary, and its gaps.

    A gap that lasts (a root that is gone, a directory without a watch) is reported again every
    minute for as long as it does, so that nobody takes one clean reconcile for the end of it.
    """

    def __init__(
        self, sensor: Sensor, clock: Callable[[], datetime], queue: Queue | None = None
    ) -> None:
        self._sensor = sensor
        self._outlet = Outlet(clock, queue)
        self._roots: tuple[bytes, ...] = ()
        self._guard: RootGuard | None = None
        self._canary: Canary | None = None
        self._thread: threading.Thread | None = None
        self._stop = -1
        self._died = ""
        self._blind_since: float | None = None
        self._revived = 0.0

    @property
    def name(self) -> Source:
        """What users call it."""
        return self._sensor.source

    def unavailable(self, root: bytes) -> str | None:
        """Return why it cannot watch a root from this process, or None where it can."""
        return self._sensor.unavailable(root)

    def start(self, roots: Sequence[bytes]) -> tuple[Coverage, ...]:
        """Begin to watch absolute directories; what happens from now on will be reported.

        Raises:
            StoreUnreachableError: a root is not there.
            ConflictError: the kernel refuses, or it was started before.
        """
        if self._guard is not None:
            raise ConflictError("this watcher was started before")
        self._roots = tuple(roots)
        try:
            covered = self._arm()
            self._stop = os.eventfd(0, os.EFD_CLOEXEC)
            self._begin(self._work)
        except BaseException:
            self.close()
            raise
        return covered

    def read(self, timeout: float) -> tuple[Sighting, ...]:
        """Return what was seen, waiting at most `timeout` seconds for the first; () is nothing."""
        until = time.monotonic() + timeout
        while True:
            self.look_after()
            left = until - time.monotonic()
            found = self._outlet.take(min(left, _HEARTBEAT_S / 2))
            if found or left <= 0:
                return found

    def crowd(self, *, crowded: bool) -> None:
        """Keep events back while whoever reads has enough, as far as the source can."""
        self._outlet.crowd(crowded=crowded)

    def close(self) -> None:
        """Stop watching and give everything back.

        A reader that hangs in a system call keeps what it uses until the process ends.
        """
        if self._thread is not None:
            os.eventfd_write(self._stop, 1)
            self._thread.join(_PATIENCE_S)
            if self._thread.is_alive():  # it waits for a file system that does not answer
                return
            self._thread = None
        if self._stop >= 0:
            os.close(self._stop)
            self._stop = -1
        self._disarm()
        if self._canary is not None:
            self._canary.close()
            self._canary = None

    # --- arming, in the thread that starts or revives -------------------------------------------

    def _arm(self) -> tuple[Coverage, ...]:
        guard = self._open()
        return tuple(self._add(root, guard) for root in self._roots)

    def _open(self) -> RootGuard:
        if self._canary is None:
            self._canary = _new_canary()
        guard = self._guard = RootGuard()
        directory = None if self._canary is None else self._canary.directory
        if not self._sensor.open(self._outlet, directory) and self._canary is not None:
            self._canary.close()
            self._canary = None
        return guard

    def _add(self, root: bytes, guard: RootGuard) -> Coverage:
        try:
            guard.remember(root)  # before its marks: what changes in between is a loss, not unseen
            return self._sensor.add(root)
        except OSError as err:
            where = os.fsdecode(root)
            raise StoreUnreachableError(f"cannot watch {where}: {err.strerror}") from err

    def _disarm(self) -> None:
        self._sensor.close()
        if self._guard is not None:
            self._guard.close()
            self._guard = None

    # --- the reader's own thread ----------------------------------------------------------------

    def _begin(self, work: Callable[[], None]) -> None:
        self._died = ""
        self._outlet.empty()
        self._thread = threading.Thread(target=self._guarded, args=(work,), daemon=True)
        self._thread.name = f"dataguard-{self._sensor.source}"
        self._thread.start()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as err:  # noqa: BLE001  the border of a worker: `read` reports it
            self._died = f"{type(err).__name__}: {err}"

    def _work_again(self) -> None:
        """Watch everything anew after the reader had died, then go on."""
        self._disarm()
        guard = self._open()
        for root in self._roots:
            try:
                self._add(root, guard)
            except StoreUnreachableError:  # it went while nobody looked, and is waited for
                guard.lose(root)
            else:
                message = f"{os.fsdecode(root)} {_AGAIN}"
                self._outlet.gap(root, root, GapKind.READER_DIED, message)
        self._work()

    def _work(self) -> None:
        guard = self._guard
        if guard is None:
            return
        rounds = _Rounds(self._sensor, guard, self._outlet)
        poller = select.poll()
        poller.register(self._stop, select.POLLIN)
        poller.register(guard.descriptor, select.POLLERR | select.POLLPRI)
        if self._sensor.descriptor is not None:
            poller.register(self._sensor.descriptor, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poller.poll(rounds.wait_ms())}
            if self._stop in ready:
                return
            self._sensor.take()
            rounds.go(mounts_changed=guard.descriptor in ready)
            self._outlet.beat()

    # --- whether that thread is well, asked by whoever reads ----------------------------------

    def look_after(self) -> None:
        """Report a reader that is dead, stuck or blind, and start a dead one again.

        `read` does it; whoever reads this watcher's queue elsewhere does it once a second.
        """
        if self._thread is None:
            return
        dead = not self._thread.is_alive()  # asked once: it must not die unreported in between
        why = self._blindness(dead=dead)
        now = time.monotonic()
        if why is None:
            self._blind_since = None
        elif self._blind_since is None or now - self._blind_since >= _REPEAT_S:
            self._blind_since = now
            for root in self._roots:
                self._outlet.gap(root, root, GapKind.READER_DIED, why)
        if dead and now - self._revived > _STUCK_S:
            self._revived = now
            self._begin(self._work_again)

    def _blindness(self, *, dead: bool) -> str | None:
        outlet = self._outlet
        if dead:
            return f"the reader of {self.name} died ({self._died or 'for no known reason'})"
        if time.monotonic() - outlet.pulse > _STUCK_S:
            return f"the reader of {self.name} does not move: a file system may not answer"
        if self._canary is None:
            return None
        try:
            self._canary.sing()
        except OSError as err:
            return f"cannot try whether {self.name} still sees: {err.strerror}"
        if self._canary.is_lost(outlet.canary_seen, outlet.pulse, outlet.drained):
            return f"{self.name} no longer reports what happens: a trial write was not seen"
        return None


class _Rounds:
    """What the reader does once a second beside reading."""

    def __init__(self, sensor: Sensor, guard: RootGuard, outlet: Outlet) -> None:
        self._sensor = sensor
        self._guard = guard
        self._outlet = outlet
        self._due = time.monotonic()
        self._standing: dict[tuple[bytes, bytes], tuple[Gap, float]] = {}

    def wait_ms(self) -> float:
        """Return how long to wait for events until the next round."""
        return min(max(0.0, self._due - time.monotonic()), self._sensor.wait_s) * 1000

    def go(self, *, mounts_changed: bool) -> None:
        """Look at the roots where it is time to, or where a mount came or went."""
        now = time.monotonic()
        if not mounts_changed and now < self._due:
            return
        self._due = now + _HEARTBEAT_S
        for loss in self._guard.look(mounts_changed=mounts_changed):
            self._lose(loss)
        for root in self._sensor.check():
            self._lose(Loss(root, root, GapKind.UNMOUNTED, "the kernel's mark is gone", whole=True))
        for root in self._guard.missing():
            self._find_again(root)
        self._repeat(now)

    def _lose(self, loss: Loss) -> None:
        message = f"{os.fsdecode(loss.path)} {loss.message}"
        gap = self._outlet.gap(loss.root, loss.path, loss.kind, message)
        lasts = loss.whole or loss.kind is GapKind.MOUNTED_OVER
        if lasts:
            self._standing[loss.root, loss.path] = (gap, time.monotonic())
        if loss.whole:
            self._sensor.drop(loss.root)
            self._guard.lose(loss.root)

    def _find_again(self, root: bytes) -> None:
        try:
            self._guard.remember(root)
            self._sensor.add(root)
        except OSError:  # still gone: its gap is reported again in a while
            self._guard.lose(root)
            return
        lost = self._standing.pop((root, root), None)
        kind = GapKind.REPLACED if lost is None else lost[0].kind
        self._outlet.gap(root, root, kind, f"{os.fsdecode(root)} {_AGAIN}")

    def _repeat(self, now: float) -> None:
        covered = self._guard.covered()
        for key, (gap, told) in list(self._standing.items()):
            if gap.path != gap.root and gap.path not in covered:
                del self._standing[key]
            elif now - told >= _REPEAT_S:
                self._outlet.put(replace(gap, time=self._outlet.now()))
                self._standing[key] = (gap, now)


def _new_canary() -> Canary | None:
    try:
        return Canary()
    except OSError:  # nowhere to write: whether the reader lives is seen by its pulse alone
        return None
