"""Roots of several file systems as one source: each is watched by what sees most of it."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.core.objectplaces import is_objects
from dataguard.errors import ConflictError, StoreUnreachableError
from dataguard.model.watch import Source
from dataguard.watchers.outlet import Queue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dataguard.model.watch import Coverage, Sighting
    from dataguard.watchers.objects import ObjectsWatcher
    from dataguard.watchers.watcher import SensorWatcher

__all__ = ["Choice", "JoinedWatcher"]

_SLICE_S = 0.5

Choice = tuple[Source, str | None]
"""A source for a root, and why it is not a stronger one."""


class JoinedWatcher:
    """A `Watcher` that chooses a source for each root when it starts."""

    def __init__(
        self,
        choose: Callable[[bytes], Choice],
        make: Callable[[Source, Queue], SensorWatcher | ObjectsWatcher],
    ) -> None:
        self._choose = choose
        self._make = make
        self._queue = Queue()
        self._watchers: dict[Source, SensorWatcher | ObjectsWatcher] = {}

    @property
    def name(self) -> Source:
        """The weakest source in use, before the start the strongest there is."""
        order = list(Source)
        return max(self._watchers, key=order.index, default=order[0])

    def unavailable(self, root: bytes) -> str | None:
        """Return why a root cannot be watched as it was asked for, or None where it can."""
        try:
            self._choose(root)
        except ConflictError as err:
            return err.message
        return None

    def start(self, roots: Sequence[bytes]) -> tuple[Coverage, ...]:
        """Begin to watch directories and places in buckets, in their order; coverage says by what.

        Raises:
            StoreUnreachableError: a root is not there.
            ConflictError: the kernel refuses, or it was started before.
        """
        if self._watchers:
            raise ConflictError("this watcher was started before")
        chosen = {root: self._choose(_there(root)) for root in roots}
        covered: dict[bytes, Coverage] = {}
        try:
            for source in dict.fromkeys(source for source, _ in chosen.values()):
                own = [root for root, (by, _) in chosen.items() if by is source]
                watcher = self._make(source, self._queue)
                self._watchers[source] = watcher
                covered |= {one.root: one for one in watcher.start(own)}
        except BaseException:
            self.close()
            raise
        return tuple(replace(covered[root], weaker_because=chosen[root][1]) for root in roots)

    def read(self, timeout: float) -> tuple[Sighting, ...]:
        """Return what was seen, waiting at most `timeout` seconds for the first; () is nothing."""
        until = time.monotonic() + timeout
        while True:
            for watcher in self._watchers.values():
                watcher.look_after()
            left = until - time.monotonic()
            found = self._queue.take(min(left, _SLICE_S))
            if found or left <= 0:
                return found

    def crowd(self, *, crowded: bool) -> None:
        """Have sources keep events back while whoever reads has enough."""
        self._queue.is_crowded = crowded

    def close(self) -> None:
        """Stop watching and give everything back."""
        for watcher in self._watchers.values():
            watcher.close()


def _there(root: bytes) -> bytes:
    if not is_objects(os.fsdecode(root)) and not os.path.isdir(root):
        raise StoreUnreachableError(f"no directory {os.fsdecode(root)} to watch")
    return root
