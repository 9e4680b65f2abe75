"""Which source watches a root: the strongest that works there, never silently a weaker one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataguard.core.objectplaces import is_objects
from dataguard.errors import ConflictError, UsageError
from dataguard.model.watch import Source
from dataguard.watchers.fanotify import FanotifySensor
from dataguard.watchers.inotify import InotifySensor
from dataguard.watchers.joined import JoinedWatcher
from dataguard.watchers.objects import ObjectsWatcher
from dataguard.watchers.polling import PollingSensor
from dataguard.watchers.rootguard import filesystem_of, read_mounts
from dataguard.watchers.telling import tells_all
from dataguard.watchers.watcher import SensorWatcher

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from dataguard.watchers.eventhub import EventHub
    from dataguard.watchers.interface import Watcher
    from dataguard.watchers.outlet import Queue
    from dataguard.watchers.sensor import Sensor

__all__ = ["AUTO", "POLL_S", "Choice", "area_watcher", "choose", "watcher"]

AUTO = "auto"

POLL_S = 60.0
"""How long `polling` waits between two looks at least."""

_OF_DIRECTORIES = tuple(one for one in Source if one is not Source.OBJECTS)


@dataclass(frozen=True, slots=True)
class Choice:
    """A source for one root, and why no stronger one was taken."""

    source: Source
    weaker_because: str | None = None


def choose(root: bytes, requested: str = AUTO) -> Choice:
    """Return the source for what was asked: `auto`, or the name of a source of directories.

    A place in a bucket has one source only, whatever was asked for directories.

    Raises:
        ConflictError: a source was named that cannot see this root's changes.
        UsageError: no source has that name.
    """
    if is_objects(os.fsdecode(root)):
        return Choice(Source.OBJECTS)
    if requested != AUTO:
        return Choice(_named(root, requested))
    reasons: list[str] = []
    for source in _OF_DIRECTORIES:
        reason = _reason(root, source)
        if reason is None:
            return Choice(source, "; ".join(reasons) or None)
        reasons.append(f"{source}: {reason}")
    raise ConflictError(f"nothing can watch {os.fsdecode(root)}: {'; '.join(reasons)}")


def watcher(
    requested: str = AUTO,
    *,
    clock: Callable[[], datetime],
    poll_s: float = POLL_S,
    hub: EventHub | None = None,
) -> Watcher:
    """Return a watcher for any roots, each by the source that `choose` says when it starts.

    Events of buckets come by the `hub`, which all watchers share.

    Raises:
        UsageError: no source has that name.
    """
    if requested != AUTO:
        _source(requested)

    def chosen(root: bytes) -> tuple[Source, str | None]:
        choice = choose(root, requested)
        return choice.source, choice.weaker_because

    def made(source: Source, queue: Queue) -> SensorWatcher | ObjectsWatcher:
        if source is Source.OBJECTS:
            return ObjectsWatcher(clock, queue, hub)
        return SensorWatcher(_sensor(source, poll_s), clock, queue)

    return JoinedWatcher(chosen, made)


def area_watcher(requested: str = AUTO, *, clock: Callable[[], datetime]) -> Watcher:
    """Return a watcher for areas where people work: by events alone, and not into mounts.

    Its `start` raises ConflictError for a root of which no event tells.

    Raises:
        UsageError: no source has that name.
    """
    if requested != AUTO:
        _source(requested)

    def chosen(root: bytes) -> tuple[Source, str | None]:
        choice = choose(root, requested)
        if choice.source is Source.POLLING:
            raise ConflictError(
                f"no events tell of {os.fsdecode(root)}: {choice.weaker_because or 'polling'}",
                hint=f"dataguard copies {os.fsdecode(root)}",
            )
        return choice.source, choice.weaker_because

    def made(source: Source, queue: Queue) -> SensorWatcher | ObjectsWatcher:
        return SensorWatcher(_sensor(source, POLL_S, crosses=False), clock, queue)

    return JoinedWatcher(chosen, made)


def _sensor(source: Source, poll_s: float, *, crosses: bool = True) -> Sensor:
    match source:
        case Source.FANOTIFY:
            return FanotifySensor(crosses=crosses)
        case Source.INOTIFY:
            return InotifySensor(crosses=crosses)
        case Source.POLLING:
            return PollingSensor(poll_s)
        case Source.OBJECTS:
            raise ConflictError("buckets are compared by their listings, not by looks of a kernel")


def _reason(root: bytes, source: Source) -> str | None:
    if source is not Source.POLLING:
        kind = filesystem_of(root, read_mounts())
        if not tells_all(kind):
            return f"not all changes on {kind} go through this kernel"
    return _sensor(source, POLL_S).unavailable(root)


def _named(root: bytes, requested: str) -> Source:
    source = _source(requested)
    reason = _reason(root, source)
    if reason is not None:
        raise ConflictError(
            f"{source} cannot watch {os.fsdecode(root)}: {reason}",
            hint="--source auto takes the strongest that works",
        )
    return source


def _source(requested: str) -> Source:
    if requested not in set(_OF_DIRECTORIES):
        raise UsageError(
            f"no source `{requested}`", hint=f"one of: auto, {', '.join(_OF_DIRECTORIES)}"
        )
    return Source(requested)
