"""Paths of which a watcher said that something happened, until they have been quiet for a while."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TYPE_CHECKING

from dataguard.model.watch import ChangeKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.model.watch import WatchEvent, Writer

__all__ = ["LATEST_S", "QUIET_S", "SETTLED_S", "Suspect", "Suspects"]

SETTLED_S = 0.02
"""How long a path is left alone after a change that is complete in itself."""

QUIET_S = 0.2
"""How long after one that others will follow: a file is written in many pieces, then closed."""

LATEST_S = 1.0
"""When a path is looked at that never comes to rest."""

_SETTLED = frozenset(ChangeKind) - {ChangeKind.CREATED, ChangeKind.MODIFIED}


@dataclass(slots=True)
class Suspect:
    """One path below a root, with what was said of it since it was last looked at."""

    root: bytes
    path: bytes
    first: float
    last: float
    kinds: frozenset[ChangeKind] = frozenset()
    is_directory: bool = False
    renamed_from: bytes | None = None
    renamed_to: bytes | None = None
    writer: Writer | None = None
    events: int = 0

    def add(self, event: WatchEvent, now: float) -> None:
        """Take note of another event."""
        self.last = now
        self.events += 1
        self.kinds = _with(self.kinds, event.kind)
        self.is_directory = event.is_directory
        self.renamed_from = event.renamed_from or self.renamed_from
        if event.writer is not None and (self.writer is None or event.writer.is_known):
            self.writer = event.writer


@functools.cache
def _with(kinds: frozenset[ChangeKind], kind: ChangeKind) -> frozenset[ChangeKind]:
    """Return the kinds with another one, the same object for all: a burst has many suspects."""
    return kinds | {kind}


class Suspects:
    """Suspects by root and path; times are those of one clock that never goes back, in seconds.

    Laws: every path that was added comes out of `due` once, and is due no later than `LATEST_S`
    after it was added; `len` counts those that have not come out.
    """

    def __init__(self) -> None:
        # Each in the order of the last event, so that what is due stands in front.
        self._settled: dict[tuple[bytes, bytes], Suspect] = {}
        self._busy: dict[tuple[bytes, bytes], Suspect] = {}

    def __len__(self) -> int:
        return len(self._settled) + len(self._busy)

    def add(self, event: WatchEvent, now: float) -> None:
        """Take an event; what was renamed within a root is two suspects."""
        suspect = self._take(event, now)
        source = event.renamed_from
        if source is None or not source.startswith(event.root.rstrip(b"/") + b"/"):
            return
        gone = replace(event, path=source, kind=ChangeKind.DELETED, renamed_from=None)
        self._take(gone, now).renamed_to = suspect.path

    def _take(self, event: WatchEvent, now: float) -> Suspect:
        key = event.root, event.path
        suspect = self._settled.pop(key, None) or self._busy.pop(key, None)
        if suspect is None:
            suspect = Suspect(event.root, event.path, now, now)
        late = now - suspect.first >= LATEST_S - QUIET_S
        suspect.add(event, now)
        (self._settled if late or event.kind in _SETTLED else self._busy)[key] = suspect
        return suspect

    def due(self, now: float, *, most: int) -> list[Suspect]:
        """Take out and return at most so many of the paths that are to be looked at now."""
        settled, busy = _due(self._settled, now - SETTLED_S), _due(self._busy, now - QUIET_S)
        found = [*islice(chain(settled, busy), most)]
        for suspect in found:
            key = suspect.root, suspect.path
            self._settled.pop(key, None)
            self._busy.pop(key, None)
        return found

    def next_due(self) -> float | None:
        """Return when the next path is due; None where there is none."""
        times = [
            next(iter(held.values())).last + quiet_s
            for held, quiet_s in ((self._settled, SETTLED_S), (self._busy, QUIET_S))
            if held
        ]
        return min(times, default=None)

    def oldest(self) -> float | None:
        """Return when the event came that waits longest in front; None where none waits."""
        fronts = [next(iter(held.values())).first for held in (self._settled, self._busy) if held]
        return min(fronts, default=None)

    def forget(self, root: bytes) -> int:
        """Drop what is below a root, which somebody is about to compare as a whole; count it."""
        count = 0
        for held in (self._settled, self._busy):
            for key in [key for key in held if key[0] == root]:
                del held[key]
                count += 1
        return count


def _due(held: dict[tuple[bytes, bytes], Suspect], before: float) -> Iterator[Suspect]:
    for suspect in held.values():
        if suspect.last > before:
            return
        yield suspect
