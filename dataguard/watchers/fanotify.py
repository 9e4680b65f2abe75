"""Changes by fanotify: one mark for a whole file system, whatever path or mount leads there."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import time
from typing import TYPE_CHECKING

from dataguard.errors import ConflictError
from dataguard.model.watch import Coverage, Limit, Source
from dataguard.watchers import fanotifycalls as calls
from dataguard.watchers.descend import open_directory
from dataguard.watchers.fanotifyevents import Judge
from dataguard.watchers.limits import limit
from dataguard.watchers.rootguard import filesystem_of, read_mounts
from dataguard.watchers.survey import Survey

if TYPE_CHECKING:
    from dataguard.watchers.outlet import Outlet

__all__ = ["FanotifySensor"]

_BUFFER = 48 << 10
"""Each event in it brings a descriptor of its process: fewer than a usual limit of 1,024."""

_MOST_ADMITTED = 12 << 20
"""Bytes of events that wait to be reported: some 80,000."""

_TURN_S = 0.5
_KEPT_S = 0.02
"""How soon the kernel's queue is emptied again while events are kept back."""

_RESURVEY_S = 1.0

_SEES = (
    "writes, truncation, clones and closes after writing, through any path, mount or namespace",
    "creation, deletion, renames, changed modes, owners, times and extended attributes",
    "writes through hard links outside, also through links made later",
    "the process behind each, as long as it lives until the event is read",
)
_BLIND_TO = (
    "stores through a shared mapping until it is unmapped",
    "chattr flags",
    "what is written to the block device itself",
    "what lies on a file system that is mounted over a part of it",
)


class FanotifySensor:
    """The sensor of `fanotify`, see fanotify(7); needs CAP_SYS_ADMIN and Linux 5.17.

    An event is one of gold if its directory's handle is, or else the file's own handle is that of
    a file with several links. All others, the noise of the file system, cost one look-up.
    """

    source = Source.FANOTIFY

    def __init__(self, *, crosses: bool = True) -> None:
        """Without `crosses` leave out what is mounted below a root."""
        self._crosses = crosses
        self._group = -1
        self._canary = b""
        self._marked: dict[int, set[bytes]] = {}
        self._adding: bytes = b""
        self._overflowed = 0.0

    @property
    def descriptor(self) -> int | None:
        """The group's."""
        return self._group

    @property
    def wait_s(self) -> float:
        """It works when there is something to read, or left of what was read."""
        if not self._judge.waiting:
            return math.inf
        return _KEPT_S if self._outlet.is_crowded else 0.0

    def unavailable(self, root: bytes) -> str | None:
        """Return why it cannot watch a root from this process, or None where it can."""
        try:
            group = calls.initialize()
        except OSError as err:
            return _init_reason(err)
        try:
            calls.mark(group, calls.FILESYSTEM, root)
            _try_handle(root)
        except OSError as err:
            return (
                f"its file system, or the rights of this process, do not allow it: {err.strerror}"
            )
        finally:
            os.close(group)
        return None

    def open(self, outlet: Outlet, canary: bytes | None) -> bool:
        """Begin, with no root yet; return whether changes in the canary's directory will be told.

        Raises:
            ConflictError: the kernel refuses.
        """
        try:
            self._group = calls.initialize()
        except OSError as err:
            raise ConflictError(
                f"fanotify does not work here: {_init_reason(err)}", hint="--source auto"
            ) from err
        self._outlet = outlet
        self._survey = Survey(outlet, self._mark, crosses=self._crosses)
        heard = canary is not None and self._listen_for(canary)
        self._judge = Judge(self._survey, outlet, self._canary, self._overflow)
        return heard

    def add(self, root: bytes) -> Coverage:
        """Watch a root; what changes after this began is told.

        Raises:
            OSError: the root cannot be opened or marked.
        """
        descriptor = open_directory(root)
        self._adding = root
        try:
            self._survey.add_root(root, descriptor)
        finally:
            os.close(descriptor)
        kind = filesystem_of(root, read_mounts())
        return Coverage(root, self.source, kind, _SEES, _BLIND_TO, _limits(len(self._marked)))

    def drop(self, root: bytes) -> None:
        """Forget a root that is not what it was; the mark of its file system may serve others."""
        self._survey.tree.drop_root(root)
        for roots in self._marked.values():
            roots.discard(root)

    def take(self) -> None:
        """Report what the kernel has to tell, as far as a turn allows.

        Its queue is emptied between any two buffers that are reported: see `Judge.admit`. While
        whoever reads has enough they wait here, where an event takes less room than anywhere else.
        """
        until = time.monotonic() + _TURN_S
        while time.monotonic() < until:
            self._admit()
            if not self._judge.waiting:
                self._outlet.empty()
                return
            if self._outlet.is_crowded and self._judge.waiting < _MOST_ADMITTED:
                return
            self._judge.report()
            self._outlet.beat()

    def _admit(self) -> None:
        """Take what the kernel has, as far as there is room for it."""
        with contextlib.suppress(BlockingIOError):
            while self._judge.waiting < _MOST_ADMITTED:
                self._judge.admit(os.read(self._group, _BUFFER))

    def check(self) -> tuple[bytes, ...]:
        """Survey anew after an overflow; return roots whose file system lost its mark.

        An unmounted file system takes its mark with it, and there is no event for that.
        """
        if self._overflowed and time.monotonic() - self._overflowed > _RESURVEY_S:
            self._survey_again()
        alive = self._marks()
        gone = [device for device in self._marked if device not in alive]
        return tuple(sorted({root for device in gone for root in self._marked.pop(device)}))

    def close(self) -> None:
        """Give everything back; also where it was not opened."""
        if self._group >= 0:
            with contextlib.suppress(OSError):
                os.close(self._group)
            self._group = -1
        self._marked.clear()

    # --- marks ------------------------------------------------------------------------------------

    def _mark(self, descriptor: int, mount: int) -> None:
        """Mark the file system of an open directory."""
        calls.mark(self._group, calls.FILESYSTEM, b"/proc/self/fd/%d" % descriptor)
        point = read_mounts().holding(mount)
        if point is not None:
            major, _, minor = point.device.partition(":")
            device = int(major) << 20 | int(minor)  # as the kernel prints it in fdinfo
            self._marked.setdefault(device, set()).add(self._adding)

    def _marks(self) -> frozenset[int]:
        """Return the devices of the file systems that the kernel says are marked (proc(5))."""
        found = set()
        with open(f"/proc/self/fdinfo/{self._group}", encoding="ascii") as lines:
            for line in lines:
                words = line.split()
                if words[:1] == ["fanotify"] and words[1].startswith("sdev:"):
                    found.add(int(words[1].removeprefix("sdev:"), 16))
        return frozenset(found)

    def _listen_for(self, canary: bytes) -> bool:
        try:
            calls.mark(self._group, calls.INODE, canary)
            descriptor = open_directory(canary)
            try:
                self._canary = self._survey.key_of(descriptor)
            finally:
                os.close(descriptor)
        except OSError:  # its file system has no handles
            return False
        return True

    # --- overflow ---------------------------------------------------------------------------------

    def _overflow(self) -> None:
        roots = self._survey.tree.roots()
        self._outlet.lost(roots, "the kernel gave events up: its queue was full")
        self._overflowed = time.monotonic()

    def _survey_again(self) -> None:
        """Learn what became of directories while events were lost."""
        self._overflowed = 0.0
        while self._judge.waiting:
            self._judge.report()
        roots = self._survey.tree.roots()
        self._survey = Survey(self._outlet, self._mark, crosses=self._crosses)
        self._judge = Judge(self._survey, self._outlet, self._canary, self._overflow)
        for root in roots:
            with contextlib.suppress(OSError):  # the guard of the roots reports one that is gone
                self.add(root)
        message = "events were lost before, and every directory was looked at again"
        self._outlet.lost(roots, message)


def _try_handle(root: bytes) -> None:
    """Find a directory by its handle, which needs CAP_DAC_READ_SEARCH."""
    directory = open_directory(root)
    try:
        handle, _ = calls.handle_of(b"", at=directory)
        os.close(calls.open_handle(directory, handle, os.O_PATH))
    finally:
        os.close(directory)


def _init_reason(error: OSError) -> str:
    match error.errno:
        case errno.EPERM:
            return "it needs CAP_SYS_ADMIN"
        case errno.EINVAL | errno.ENOSYS:
            return "it needs Linux 5.17"
        case errno.EMFILE:
            return "too many groups: raise fs.fanotify.max_user_groups"
        case _:
            return str(error.strerror)


def _limits(marks: int) -> tuple[Limit, ...]:
    folder = "/proc/sys/fs/fanotify"
    return (
        limit(f"{folder}/max_user_groups", None),
        limit(f"{folder}/max_user_marks", marks),
    )
