"""Delivers alerts to a sink from its outbox, on a thread of its own: no sink holds up a watcher."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from dataguard.errors import StoreUnreachableError
from dataguard.model.alert import SinkHealth

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dataguard.model.alert import Alert, WatchStatus
    from dataguard.sinks.interface import Sink
    from dataguard.sinks.outbox import Outbox

__all__ = ["Delivery"]

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 300.0


class Delivery:
    """A sink that takes everything at once and hands it on when the sink behind it can take it.

    Keeps the order; tries again after 1, 2, 4 ... 300 seconds. Where the outbox cannot be written
    alerts are kept in memory, at most `limit` deliveries.
    """

    def __init__(
        self, sink: Sink, outbox: Outbox, *, limit: int, first_pause_s: float = _FIRST_PAUSE_S
    ) -> None:
        self._sink = sink
        self._outbox = outbox
        self._first_pause_s = first_pause_s
        self._memory: deque[Sequence[Alert]] = deque()
        self._limit = limit
        self._lost = 0
        self._status: WatchStatus | None = None
        self._trouble = ""
        self._changed = threading.Condition()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name=f"sink-{sink.name}", daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        """What users call the sink."""
        return self._sink.name

    @property
    def health(self) -> SinkHealth:
        """How the sink is."""
        waiting = len(self._outbox) + len(self._memory)
        return SinkHealth(self.name, self._trouble, waiting, self._outbox.dropped + self._lost)

    def send(self, alerts: Sequence[Alert]) -> None:
        """Take alerts; they survive the watcher, unless the outbox is in trouble."""
        if not alerts:
            return
        try:
            self._outbox.put(alerts)
        except StoreUnreachableError as err:
            self._trouble = f"outbox: {err.message}"
            with self._changed:
                self._memory.append(alerts)
                if len(self._memory) > self._limit:
                    self._lost += len(self._memory.popleft())
        self._wake()

    def note(self, status: WatchStatus) -> None:
        """Take the newest status."""
        self._status = status
        self._wake()

    def close(self, wait_s: float = 2.0) -> None:
        """Give the sink some seconds for what waits; the rest stays in the outbox."""
        end = time.monotonic() + wait_s
        while self.health.waiting and not self._trouble and time.monotonic() < end:
            time.sleep(0.01)
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        self._thread.join(max(end - time.monotonic(), 0.1))
        if not self._thread.is_alive():  # a sink that hangs is left to the end of the process
            self._sink.close()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _run(self) -> None:
        pause_s = 0.0
        while not self._ending:
            try:
                worked = self._deliver()
            except StoreUnreachableError as err:
                self._trouble = err.message
                pause_s = min(max(2 * pause_s, self._first_pause_s), _LONGEST_PAUSE_S)
                self._wait(pause_s, patient=True)
                continue
            except Exception as err:  # noqa: BLE001  a worker's border: a thread that ends would be silent
                self._trouble = f"{type(err).__name__}: {err}"
                pause_s = _LONGEST_PAUSE_S
                self._wait(pause_s, patient=True)
                continue
            self._trouble, pause_s = "", 0.0
            if not worked:
                self._wait(60.0)

    def _wait(self, seconds: float, *, patient: bool = False) -> None:
        """Wait for the end, or for news; a sink in trouble is not asked sooner for news."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._ending or (not patient and self._has_work()), seconds
            )

    def _has_work(self) -> bool:
        return bool(self._memory or len(self._outbox) or self._status is not None)

    def _deliver(self) -> bool:
        """Hand on what waits; returns whether anything did."""
        status, self._status = self._status, None
        if status is not None:
            self._sink.note(status)
        first = self._outbox.first()
        if first is not None:
            self._sink.send(first[1])
            self._outbox.remove(first[0])
        elif self._memory:
            self._sink.send(self._memory[0])
            with self._changed:
                self._memory.popleft()
        return first is not None or status is not None
