"""Events of object stores, read once and told to every watcher that has the bucket."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Protocol

from dataguard.core.objectplaces import bucket_of, prefix_of
from dataguard.errors import DataguardError, UsageError
from dataguard.model.watch import ChangeKind, GapKind, Writer
from dataguard.watchers.eventqueue import EventQueue
from dataguard.watchers.eventreceiver import EventReceiver

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dataguard.core.objectevents import ObjectEvent
    from dataguard.watchers.outlet import Outlet

__all__ = ["EventHub", "EventSource", "event_sources"]

_AGAIN_S = 1.0
_REPEAT_S = 60.0
_TOKEN = "DATAGUARD_EVENTS_TOKEN"  # noqa: S105  the name of a variable
_END_S = 10.0


class EventSource(Protocol):
    """Where events of stores come from."""

    @property
    def name(self) -> str:
        """What messages call it."""

    def open(self) -> None:
        """Begin.

        Raises:
            DataguardError: it cannot.
        """

    def take(self) -> tuple[ObjectEvent, ...]:
        """Return the next events, soon; () is nothing.

        Raises:
            StoreUnreachableError: it cannot be read now.
        """

    def close(self) -> None:
        """Give everything back."""


def event_sources(
    written: Sequence[str], environ: Mapping[str, str]
) -> tuple[EventQueue | EventReceiver, ...]:
    """Return the sources that were asked for: `sqs:URL`, `listen:HOST:PORT`.

    Raises:
        UsageError: one is neither.
    """
    return tuple(_source(one, environ) for one in written)


def _source(written: str, environ: Mapping[str, str]) -> EventQueue | EventReceiver:
    kind, _, rest = written.partition(":")
    match kind:
        case "sqs":
            return EventQueue(rest, environ)
        case "listen":
            return EventReceiver(rest, environ.get(_TOKEN, ""))
    raise UsageError(
        f"no events from `{written}`", hint="--events sqs:URL, or --events listen:HOST:PORT"
    )


class EventHub:
    """Reads the sources as long as anybody listens, each in a thread of its own."""

    def __init__(self, sources: Sequence[EventSource]) -> None:
        """Open nothing yet."""
        self._sources = tuple(sources)
        self._lock = threading.Lock()
        self._roots: dict[bytes, Outlet] = {}
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def names(self) -> tuple[str, ...]:
        """What messages call the sources."""
        return tuple(one.name for one in self._sources)

    def join(self, outlet: Outlet, roots: Sequence[bytes]) -> None:
        """Tell an outlet of events below some roots from now on.

        Raises:
            DataguardError: a source cannot be opened.
        """
        with self._lock:
            if not self._threads:
                self._open()
            self._roots |= dict.fromkeys(roots, outlet)

    def leave(self, outlet: Outlet) -> None:
        """Tell an outlet no more; the last one that leaves closes the sources."""
        with self._lock:
            self._roots = {root: one for root, one in self._roots.items() if one is not outlet}
            ended, self._threads = (self._threads, []) if not self._roots else ([], self._threads)
        if ended:
            self._stop.set()
            for thread in ended:
                thread.join(_END_S)

    def _open(self) -> None:
        self._stop = threading.Event()
        opened: list[EventSource] = []
        try:
            for source in self._sources:
                source.open()
                opened.append(source)
        except DataguardError:
            for source in opened:
                source.close()
            raise
        for source in self._sources:
            arguments = (source, self._stop)
            self._threads.append(threading.Thread(target=self._read, args=arguments, daemon=True))
            self._threads[-1].start()

    def _read(self, source: EventSource, stop: threading.Event) -> None:
        told = float("-inf")
        while not stop.is_set():
            try:
                events = source.take()
            except DataguardError as err:
                if time.monotonic() - told >= _REPEAT_S:
                    self._blind(err.message)
                    told = time.monotonic()
                stop.wait(_AGAIN_S)
                continue
            told = float("-inf")
            for event in events:
                self._tell(event)
        source.close()

    def _blind(self, message: str) -> None:
        with self._lock:
            known = tuple(self._roots.items())
        for root, outlet in known:
            outlet.gap(root, root, GapKind.UNREADABLE, f"{message}; only listings tell of changes")

    def _tell(self, event: ObjectEvent) -> None:
        with self._lock:
            known = tuple(self._roots.items())
        for root, outlet in known:
            place = root.decode("utf-8", "surrogateescape")
            if bucket_of(place) != event.bucket:
                continue
            prefix = prefix_of(place)
            for number, key in enumerate(event.keys):
                if key.startswith(prefix) and key != prefix:
                    path = root + b"/" + key[len(prefix) :]
                    who = None if number else _writer(event)  # another reading: nobody is named
                    outlet.event((root, path), ChangeKind.RENAMED, writer=who)


def _writer(event: ObjectEvent) -> Writer:
    return Writer(principal=event.principal, address=event.address, object_version=event.version_id)
