"""The threads of a watcher: each does one thing and puts what came of it into one inbox."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from dataguard.actions.judgement import Judgement
    from dataguard.actions.reconcile import Reconciled
    from dataguard.actions.watchcopies import Copied, NotWatched
    from dataguard.actions.watched import Watched
    from dataguard.model.finding import Finding
    from dataguard.model.watch import Sighting
    from dataguard.watchers.interface import Watcher

__all__ = ["Failed", "Found", "Inbox", "Judged", "Message", "Pump", "Seen", "Worker"]

_READ_S = 0.5
_LOOK_S = 0.05
"""How soon it is asked again whether there is room for more."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a source saw."""

    sightings: tuple[Sighting, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of suspects; None where the place cannot be judged, and `trouble` says why."""

    watched: Watched
    judgement: Judgement | None
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """Findings of a comparison that goes on."""

    watched: Watched
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """A thread ended, or could not do its work."""

    error: Exception


Message: TypeAlias = "Seen | Judged | Found | Failed | Reconciled | Copied | NotWatched"


class Inbox(queue.Queue["Message"]):
    """What the threads bring; `sightings` of it wait to be taken out."""

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self.sightings = 0

    def _put(self, item: Message) -> None:  # with the lock held, as `queue` documents it
        super()._put(item)
        self.sightings += len(item.sightings) if isinstance(item, Seen) else 0

    def _get(self) -> Message:
        item: Message = super()._get()
        self.sightings -= len(item.sightings) if isinstance(item, Seen) else 0
        return item


class Pump:
    """Reads one source into the inbox; `is_crowded` says when that is enough for now."""

    def __init__(self, watcher: Watcher, inbox: Inbox, is_crowded: Callable[[], bool]) -> None:
        self._watcher = watcher
        self._inbox = inbox
        self._is_crowded = is_crowded
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch-read", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop reading and close the source."""
        self._ended.set()
        self._thread.join()
        self._watcher.close()

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                crowded = self._is_crowded()
                self._watcher.crowd(crowded=crowded)
                seen = self._watcher.read(_LOOK_S if crowded else _READ_S)
                if seen:
                    self._inbox.put(Seen(seen))
        except Exception as err:  # noqa: BLE001  a worker's border: whoever watches must learn of it
            self._inbox.put(Failed(err))


class Worker:
    """Does tasks one after the other; what they return goes into the inbox."""

    def __init__(self, name: str, inbox: Inbox) -> None:
        self._inbox = inbox
        self._tasks: queue.SimpleQueue[Callable[[], Message] | None] = queue.SimpleQueue()
        self._waiting = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Tasks that were given and have not ended."""
        return self._waiting

    def do(self, task: Callable[[], Message]) -> None:
        """Have a task done; it runs in the worker's thread."""
        self._waiting += 1
        self._tasks.put(task)

    def done(self) -> None:
        """Take note that what a task came to was taken out of the inbox."""
        self._waiting -= 1

    def close(self) -> None:
        """Let the thread end after the task it is at."""
        self._tasks.put(None)

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                result: Message = task()
            except Exception as err:  # noqa: BLE001  a worker's border, as above
                result = Failed(err)
            self._inbox.put(result)
