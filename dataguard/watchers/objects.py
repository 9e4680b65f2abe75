"""Buckets: what changed is found by comparing listings; events only say where to look first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.core.objectplaces import is_objects
from dataguard.errors import ConflictError
from dataguard.model.watch import Coverage, GapKind, Source
from dataguard.watchers.outlet import Outlet, Queue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from dataguard.model.watch import Sighting
    from dataguard.watchers.eventhub import EventHub

__all__ = ["ObjectsWatcher"]

_SEES = ("keys created, overwritten or deleted, and versions gone, at each listing (--interval)",)
_BLIND_TO = (
    "what was done and undone between two comparisons",
    "locks, retention and the bucket's policy: dataguard audit",
)
_NOBODY = "who wrote: no events are read (--events)"
_NO_EVENTS = (
    "no events of the bucket are read (--events): changes show when it is listed (--interval)"
)


class ObjectsWatcher:
    """A `Watcher` of places in buckets.

    Without events `read` tells once that there are none: whole places are compared at intervals,
    which is what finds every change, also those of which an event was lost.
    """

    def __init__(
        self,
        clock: Callable[[], datetime],
        queue: Queue | None = None,
        hub: EventHub | None = None,
    ) -> None:
        self._outlet = Outlet(clock, queue)
        self._hub = hub
        self._started = False

    @property
    def name(self) -> Source:
        """What users call it."""
        return Source.OBJECTS

    def unavailable(self, root: bytes) -> str | None:
        """Return why it cannot watch a root, or None where it can."""
        place = root.decode("utf-8", "surrogateescape")
        return None if is_objects(place) else "it is no place in an object store"

    def start(self, roots: Sequence[bytes]) -> tuple[Coverage, ...]:
        """Begin to listen for events of these places, where there are any to listen for.

        Raises:
            ConflictError: it was started before, or an address cannot be listened on.
            UsageError: the extra is not installed.
        """
        if self._started:
            raise ConflictError("this watcher was started before")
        self._started = True
        sees: tuple[str, ...] = _SEES
        blind: tuple[str, ...] = (*_BLIND_TO, _NOBODY)
        if self._hub is not None:
            self._hub.join(self._outlet, roots)
            told = (f"at once what {name} tells of, and whom it names" for name in self._hub.names)
            sees, blind = (*sees, *told), _BLIND_TO
        else:
            for root in roots:
                self._outlet.gap(root, root, GapKind.NO_EVENTS, _NO_EVENTS)
        return tuple(Coverage(root, Source.OBJECTS, "s3", sees, blind) for root in roots)

    def look_after(self) -> None:
        """Nothing has to be looked after: the hub says itself what it cannot read."""

    def read(self, timeout: float) -> tuple[Sighting, ...]:
        """Return what was seen, waiting at most `timeout` seconds for the first; () is nothing."""
        return self._outlet.take(timeout)

    def crowd(self, *, crowded: bool) -> None:
        """Keep events back while whoever reads has enough, as far as the source can."""
        self._outlet.crowd(crowded=crowded)

    def close(self) -> None:
        """Listen no more."""
        if self._hub is not None:
            self._hub.leave(self._outlet)
