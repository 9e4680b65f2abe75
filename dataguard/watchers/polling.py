"""Changes by looking again: for file systems that change without the kernel's knowing."""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataguard.model.watch import Coverage, GapKind, Source
from dataguard.watchers.descend import descend, exhaust, open_directory
from dataguard.watchers.rootguard import filesystem_of, read_mounts
from dataguard.watchers.signatures import Signatures, SignaturesBuilder
from dataguard.watchers.telling import tells_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.watchers.outlet import Outlet

__all__ = ["PollingSensor"]

_TURN_S = 0.5
_BEAT_EVERY = 4096
_BREATH_S = 0.05
_SHARE = 4
"""A look that took a second is not begun again for four."""

_SEES = ("size, times, inode, mode, owner and links that differ from those of the last look",)
_BLIND_TO = (
    "what is changed and put back between two looks, or within one tick of the server's clock",
    "who wrote",
    "stores through a shared mapping until they are written back",
    "what is written to the block device itself",
)


@dataclass(slots=True)
class _Look:
    """A walk over one root, done in turns."""

    root: bytes
    visit: _Visit
    descriptor: int
    turns: Iterator[None]
    worked_s: float = 0.0


class PollingSensor:
    """The sensor of `polling`; `interval_s` lies between the end of a look and the next at least.

    What was deleted shows by its directory, which is reported as modified. That a root is on a file
    system that changes without events is told once, before the first look at it.
    """

    source = Source.POLLING

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._before: dict[bytes, Signatures] = {}
        self._due: dict[bytes, float] = {}
        self._look: _Look | None = None
        self._told: set[bytes] = set()

    @property
    def descriptor(self) -> int | None:
        """Nothing becomes readable."""
        return None

    @property
    def wait_s(self) -> float:
        """Until the next look, or a breath in the middle of one."""
        if self._look is not None:
            return _BREATH_S
        return max(0.0, min(self._due.values(), default=math.inf) - time.monotonic())

    def unavailable(self, root: bytes) -> str | None:
        """Return why it cannot watch a root from this process, or None where it can."""
        try:
            os.close(open_directory(root))
        except OSError as err:
            return str(err.strerror)
        return None

    def open(self, outlet: Outlet, canary: bytes | None) -> bool:
        """Begin, with no root yet; no canary is listened for."""
        del canary
        self._outlet = outlet
        return False

    def add(self, root: bytes) -> Coverage:
        """Look at a root for the first time; what changes later differs from that.

        Raises:
            OSError: the root cannot be listed.
        """
        look = self._begin(root, None)
        kind = filesystem_of(root, read_mounts())
        try:
            self._tell(root, kind)
            exhaust(look.turns)
        finally:
            os.close(look.descriptor)
        self._before[root] = look.visit.seen.done()
        self._due[root] = time.monotonic() + self._interval_s
        return Coverage(root, self.source, kind, _SEES, _BLIND_TO)

    def drop(self, root: bytes) -> None:
        """Forget a root that is not what it was."""
        self._before.pop(root, None)
        self._due.pop(root, None)
        if self._look is not None and self._look.root == root:
            self._end_look()

    def take(self) -> None:
        """Go on with a look, or begin the next one that is due; report what differs."""
        began = time.monotonic()
        if self._look is None:
            due = [root for root, at in self._due.items() if at <= began]
            if not due:
                return
            self._look = self._begin_or_report(due[0])
        look = self._look
        if look is None:
            return
        try:
            for _ in look.turns:
                if time.monotonic() - began > _TURN_S:
                    look.worked_s += time.monotonic() - began
                    return
        except OSError as err:
            self._unreadable(look.root, err)
        else:
            self._before[look.root] = look.visit.seen.done()
        worked_s = look.worked_s + time.monotonic() - began
        self._end_look()
        self._due[look.root] = time.monotonic() + max(self._interval_s, _SHARE * worked_s)

    def check(self) -> tuple[bytes, ...]:
        """Nothing is due but looks."""
        return ()

    def close(self) -> None:
        """Give everything back; also where it was not opened."""
        self._end_look()
        self._before.clear()
        self._due.clear()

    def _begin(self, root: bytes, before: Signatures | None) -> _Look:
        descriptor = open_directory(root)
        visit = _Visit(root, before, self._outlet)
        visit.seen.add(b"", os.fstat(descriptor))
        return _Look(root, visit, descriptor, descend(visit, b"", descriptor))

    def _begin_or_report(self, root: bytes) -> _Look | None:
        try:
            return self._begin(root, self._before[root])
        except OSError as err:
            self._unreadable(root, err)
            self._due[root] = time.monotonic() + self._interval_s
            return None

    def _tell(self, root: bytes, kind: str) -> None:
        if root not in self._told and not tells_all(kind):
            self._told.add(root)
            message = f"not all changes on {kind} have events here: they show at the next look"
            self._outlet.gap(root, root, GapKind.NO_EVENTS, message)

    def _unreadable(self, root: bytes, error: OSError) -> None:
        message = f"{os.fsdecode(root)} cannot be looked at: {error.strerror}"
        self._outlet.gap(root, root, GapKind.UNREADABLE, message)

    def _end_look(self) -> None:
        if self._look is not None:
            os.close(self._look.descriptor)
            self._look = None


class _Visit:
    """Takes the signatures of one walk; keys are paths below the root."""

    def __init__(self, root: bytes, before: Signatures | None, outlet: Outlet) -> None:
        self._root = root
        self._before = before
        self._outlet = outlet
        self.seen = SignaturesBuilder()

    def enter(self, parent: bytes, name: bytes, descriptor: int) -> bytes | None:
        """Go into every directory."""
        del descriptor
        return _below(parent, name)

    def entries(self, key: bytes, descriptor: int) -> list[bytes]:
        """Take all in a directory, and report what differs from the look before."""
        paths = [] if key else [b""]  # the root was taken when it was opened
        directories: list[bytes] = []
        with os.scandir(descriptor) as items:
            for count, item in enumerate(items):
                if count % _BEAT_EVERY == 0:
                    self._outlet.beat()
                name = os.fsencode(item.name)
                try:
                    status = item.stat(follow_symlinks=False)
                except FileNotFoundError:  # gone meanwhile: the directory has changed
                    continue
                paths.append(_below(key, name))
                self.seen.add(paths[-1], status)
                if item.is_dir(follow_symlinks=False):
                    directories.append(name)
        self._report(paths, key, directories)
        return directories

    def unreadable(self, parent: bytes, name: bytes, error: OSError) -> None:
        """Report what cannot be listed, at every look."""
        path = self._root + b"/" + _below(parent, name)
        message = f"{os.fsdecode(path)} cannot be looked at: {error.strerror}"
        self._outlet.gap(self._root, path, GapKind.UNREADABLE, message)

    def _report(self, paths: list[bytes], key: bytes, directories: list[bytes]) -> None:
        if self._before is None:
            return
        folders = {_below(key, name) for name in directories} | {b""}
        for position, kind in self.seen.changes(self._before):
            path = paths[position]
            place = (self._root, self._root + b"/" + path if path else self._root)
            self._outlet.event(place, kind, is_directory=path in folders)


def _below(parent: bytes, name: bytes) -> bytes:
    return parent + b"/" + name if parent else name
