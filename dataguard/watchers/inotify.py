"""Changes by inotify: one watch for each directory; needs no right but to list them."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import time
from collections import deque
from typing import TYPE_CHECKING

from watchdog.observers.inotify_c import InotifyConstants as In

from dataguard.errors import ConflictError
from dataguard.model.dataclass import dataclass
from dataguard.model.watch import ChangeKind, Coverage, Source
from dataguard.watchers import inotifycalls as calls
from dataguard.watchers.descend import open_directory
from dataguard.watchers.inotifywatches import MASK, InotifyWatches, place_in, watch_reason
from dataguard.watchers.limits import limit
from dataguard.watchers.rootguard import filesystem_of, read_mounts

if TYPE_CHECKING:
    from dataguard.model.watch import Limit
    from dataguard.watchers.directorytree import Place
    from dataguard.watchers.outlet import Outlet

__all__ = ["InotifySensor"]

_READ = 1 << 18
_MOST_WAITING = 64 << 20
_DRAIN_EVERY = 512
_TURN_S = 0.5
_PAIR_S = 0.5
_RESURVEY_S = 1.0
_RETRY_S = 60.0

_SEES = (
    "writes, truncation, clones and closes after writing, by names below the root",
    "creation, deletion, renames, changed modes, owners, times and extended attributes",
)
_BLIND_TO = (
    "writes through hard links outside",
    "who wrote",
    "stores through a shared mapping until it is unmapped",
    "chattr flags",
    "what is written to the block device itself",
    "what lies on a file system that is mounted over a part of it",
)


@dataclass(frozen=True, slots=True)
class _Departure:
    """The first half of a rename; the second may never come."""

    places: tuple[Place, ...]
    is_directory: bool
    time: float


class InotifySensor:
    """The sensor of `inotify`, see inotify(7).

    Events are taken out of the kernel's bounded queue in between all other work: what is read but
    not judged yet waits here, at 32 bytes an event.
    """

    source = Source.INOTIFY

    def __init__(self, *, crosses: bool = True) -> None:
        """Without `crosses` leave out what is mounted below a root."""
        self._crosses = crosses
        self._instance = -1

    @property
    def descriptor(self) -> int | None:
        """The instance's."""
        return self._instance

    @property
    def wait_s(self) -> float:
        """It works when there is something to read."""
        return math.inf

    def unavailable(self, root: bytes) -> str | None:
        """Return why it cannot watch a root from this process, or None where it can."""
        try:
            instance = calls.initialize()
        except OSError as err:
            return _init_reason(err)
        try:
            directory = open_directory(root)
            try:
                calls.add_watch(instance, directory, MASK)
            finally:
                os.close(directory)
        except OSError as err:
            return watch_reason(err)
        finally:
            os.close(instance)
        return None

    def open(self, outlet: Outlet, canary: bytes | None) -> bool:
        """Begin, with no root yet; return whether changes in the canary's directory will be told.

        Raises:
            ConflictError: the kernel refuses.
        """
        try:
            self._instance = calls.initialize()
        except OSError as err:
            hint = "sysctl fs.inotify.max_user_instances tells how many there may be"
            raise ConflictError(f"inotify: {_init_reason(err)}", hint=hint) from err
        self._outlet = outlet
        self._watches = InotifyWatches(self._instance, outlet, self._drain, crosses=self._crosses)
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._departed: dict[int, _Departure] = {}
        self._arrived: set[int] = set()
        self._unmounted: set[bytes] = set()
        self._overflowed = 0.0
        self._retried = time.monotonic()
        self._canary = -1
        self._left = False
        return canary is not None and self._listen_for(canary)

    def add(self, root: bytes) -> Coverage:
        """Watch a root; what changes after this began is told.

        Raises:
            OSError: the root cannot be opened or watched.
        """
        self._watches.add_root(root)
        kind = filesystem_of(root, read_mounts())
        limits = _limits(len(self._watches.tree))
        return Coverage(root, self.source, kind, _SEES, _BLIND_TO, limits)

    def drop(self, root: bytes) -> None:
        """Forget a root that is not what it was, and give its watches back."""
        self._unmounted.discard(root)
        self._watches.drop_root(root)

    def take(self) -> None:
        """Report what the kernel has to tell, as far as a turn allows."""
        until = time.monotonic() + _TURN_S
        self._drain()
        while self._waiting and time.monotonic() < until:
            buffer = self._waiting.popleft()
            self._waiting_bytes -= len(buffer)
            for number, record in enumerate(calls.records(buffer)):
                self._judge(record)
                if number % _DRAIN_EVERY == 0:
                    self._drain()
            self._drain()
            self._outlet.beat()
        self._end_departures()
        if not self._waiting:
            self._outlet.empty()

    def check(self) -> tuple[bytes, ...]:
        """Look for unwatched directories where there may be some; return unmounted roots."""
        now = time.monotonic()
        self._end_departures()
        if self._left:  # what was below a directory that went away
            self._left = False
            self._watches.forget_homeless()
        if self._overflowed and now - self._overflowed > _RESURVEY_S:
            self._overflowed = 0.0
            self._watches.survey_again(
                "events were lost before, and every directory was looked at again"
            )
        elif self._watches.refused and now - self._retried > _RETRY_S:
            self._retried = now
            self._watches.survey_again(None)
        return tuple(sorted(self._unmounted))

    def close(self) -> None:
        """Give everything back; also where it was not opened."""
        if self._instance >= 0:
            with contextlib.suppress(OSError):
                os.close(self._instance)
            self._instance = -1

    def _listen_for(self, canary: bytes) -> bool:
        try:
            directory = open_directory(canary)
            try:
                self._canary = calls.add_watch(self._instance, directory, In.IN_CLOSE_WRITE)
            finally:
                os.close(directory)
        except OSError:  # no watch is left: `start` says so
            return False
        return True

    # --- events -----------------------------------------------------------------------------------

    def _drain(self) -> None:
        """Take out of the kernel what it has; what is too much stays, and overflows there."""
        while self._waiting_bytes < _MOST_WAITING:
            try:
                buffer = os.read(self._instance, _READ)
            except BlockingIOError:
                return
            self._waiting.append(buffer)
            self._waiting_bytes += len(buffer)

    def _judge(self, record: calls.Record) -> None:
        mask, watch = record.mask, record.watch
        if mask & In.IN_Q_OVERFLOW:
            self._overflow()
        elif watch == self._canary:
            self._outlet.canary()
        elif mask & In.IN_IGNORED:
            self._watches.tree.discard(watch)
        elif mask & In.IN_UNMOUNT:
            self._unmounted |= {root for root, own in self._watches.roots.items() if own == watch}
        elif mask & In.IN_MOVE_SELF:
            self._moved(watch)
        elif record.name or self._watches.tree.is_root(
            watch
        ):  # the parent tells of other directories
            self._changed(record)

    def _changed(self, record: calls.Record) -> None:
        places = tuple(
            place_in(place, record.name) for place in self._watches.tree.places(record.watch)
        )
        mask = record.mask
        is_directory = bool(mask & In.IN_ISDIR)
        if not places:
            self._watches.forget(record.watch)
        elif mask & In.IN_MOVED_FROM:
            self._departed[record.cookie] = _Departure(places, is_directory, time.monotonic())
        elif mask & In.IN_MOVED_TO:
            self._arrive(record, places, is_directory=is_directory)
        else:
            if is_directory and mask & In.IN_CREATE:
                self._watches.appeared(record, found=True)
            for place in places:
                self._outlet.event(place, _kind(mask), is_directory=is_directory)

    def _arrive(
        self, record: calls.Record, places: tuple[Place, ...], *, is_directory: bool
    ) -> None:
        left = self._departed.pop(record.cookie, None)
        source = None if left is None else left.places[0][1]
        if is_directory:
            watch = self._watches.appeared(record, found=False)
            if watch is not None:
                self._arrived.add(watch)
        for place in places:
            self._outlet.event(
                place, ChangeKind.RENAMED, is_directory=is_directory, renamed_from=source
            )
        roots = {root for root, _ in places}
        for place in () if left is None else left.places:
            if place[0] not in roots:
                self._outlet.event(place, ChangeKind.DELETED, is_directory=is_directory)

    def _moved(self, watch: int) -> None:
        """A directory has moved: away, unless its arrival somewhere below a root was seen."""
        if watch in self._arrived:
            self._arrived.discard(watch)
        elif not self._watches.tree.is_root(watch):
            self._watches.forget(watch)
            self._left = True

    def _end_departures(self) -> None:
        """Report as deleted what left and did not arrive."""
        if self._waiting:
            return
        now = time.monotonic()
        for cookie, left in list(self._departed.items()):
            if now - left.time > _PAIR_S:
                del self._departed[cookie]
                for place in left.places:
                    kind = ChangeKind.DELETED
                    self._outlet.event(place, kind, is_directory=left.is_directory)

    def _overflow(self) -> None:
        if not self._overflowed:
            roots = self._watches.tree.roots()
            hint = "sysctl fs.inotify.max_queued_events"
            self._outlet.lost(roots, f"the kernel gave events up: its queue was full ({hint})")
        self._overflowed = time.monotonic()


def _kind(mask: int) -> ChangeKind:
    for bit, kind in (
        (In.IN_CREATE, ChangeKind.CREATED),
        (In.IN_DELETE, ChangeKind.DELETED),
        (In.IN_CLOSE_WRITE, ChangeKind.CLOSED),
        (In.IN_MODIFY, ChangeKind.MODIFIED),
    ):
        if mask & bit:
            return kind
    return ChangeKind.METADATA


def _init_reason(error: OSError) -> str:
    if error.errno == errno.EMFILE:
        return "too many instances: raise fs.inotify.max_user_instances"
    return str(error.strerror)


def _limits(watches: int) -> tuple[Limit, ...]:
    folder = "/proc/sys/fs/inotify"
    return (
        limit(f"{folder}/max_user_watches", watches),
        limit(f"{folder}/max_queued_events", None),
        limit(f"{folder}/max_user_instances", None),
    )
