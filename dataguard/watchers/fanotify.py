"""Changes by fanotify: one mark for a whole file system, whatever path or mount leads there."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import time
from typing import TYPE_CHECKING

from dataguard.errors import ConflictError
from dataguard.model.watch import ChangeKind, Coverage, Limit, Source
from dataguard.watchers import fanotifycalls as calls
from dataguard.watchers.descend import open_directory
from dataguard.watchers.fanotifyrecords import Mask, Record, records
from dataguard.watchers.limits import limit
from dataguard.watchers.rootguard import filesystem_of, read_mounts
from dataguard.watchers.survey import Survey
from dataguard.watchers.writers import Attribution

if TYPE_CHECKING:
    from dataguard.model.watch import Writer
    from dataguard.watchers.outlet import Outlet

__all__ = ["FanotifySensor"]

_BUFFER = 48 << 10
"""Each event in it brings a descriptor of its process: fewer than a usual limit of 1,024."""

_TURN_S = 0.5
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

    def __init__(self) -> None:
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
        """It works when there is something to read."""
        return math.inf

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
        self._survey = Survey(outlet, self._mark)
        return canary is not None and self._listen_for(canary)

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
        """Report what the kernel has to tell, as far as a turn allows."""
        until = time.monotonic() + _TURN_S
        while time.monotonic() < until:
            try:
                buffer = os.read(self._group, _BUFFER)
            except BlockingIOError:
                self._outlet.empty()
                return
            self._report(buffer)
            self._outlet.beat()

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

    # --- events -----------------------------------------------------------------------------------

    def _report(self, buffer: bytes) -> None:
        found = tuple(records(buffer))
        try:
            writers = self._writers(found)
            for record, writer in zip(found, writers, strict=True):
                self._judge(record, writer)
        finally:
            for record in found:
                if record.pidfd >= 0:
                    os.close(record.pidfd)

    def _writers(self, found: tuple[Record, ...]) -> list[Writer | None]:
        """Ask who wrote, before anything else is done: most writers end soon."""
        asked = Attribution()
        fresh: set[bytes] = set()  # directories that this batch itself brings
        writers: list[Writer | None] = []
        for record in found:
            ours = self._concerns(record) or record.parent in fresh
            if ours and record.mask & Mask.ONDIR:
                fresh.add(record.child)
            writers.append(asked.of(record.pid, record.pidfd) if ours else None)
        return writers

    def _concerns(self, record: Record) -> bool:
        survey = self._survey
        return (
            record.parent in survey.tree
            or record.child in survey.linked
            or (record.old_parent in survey.tree)
        )

    def _judge(self, record: Record, writer: Writer | None) -> None:
        survey = self._survey
        if record.mask & Mask.OVERFLOW:
            self._overflow()
        elif record.mask & Mask.RENAME:
            self._renamed(record, writer)
        elif self._is_ours(record.parent):
            self._changed(record, writer)
        elif record.child in survey.linked:
            self._changed_elsewhere(record, writer)
        elif record.parent == self._canary and self._canary:
            self._outlet.canary()
        elif _is_about_links(record) and survey.link_appeared(record.child):
            self._changed_elsewhere(record, writer)

    def _is_ours(self, directory: bytes) -> bool:
        """Whether a directory is below a root; one that went away with another is forgotten."""
        tree = self._survey.tree
        if directory not in tree:
            return False
        if tree.places(directory):
            return True
        tree.discard(directory)
        return False

    def _changed(self, record: Record, writer: Writer | None) -> None:
        is_directory = bool(record.mask & Mask.ONDIR)
        if is_directory and record.mask & Mask.CREATE:
            self._survey.add_directory(record.child, record.parent, record.name)
        self._tell(record.parent, record.name, record, writer)
        if record.child in self._survey.linked:
            self._changed_elsewhere(record, writer, but=(record.parent, record.name))
        if record.mask & Mask.DELETE:
            if is_directory:
                self._survey.tree.discard(record.child)
            else:
                self._survey.linked.remove(record.child, record.parent, record.name)
        elif record.mask & Mask.CREATE and not is_directory:
            if record.mask & (Mask.MODIFY | Mask.CLOSE_WRITE):  # new, and no link of another
                self._survey.grew(record.parent)
            else:
                self._survey.file_appeared(record.child, record.parent, record.name)

    def _changed_elsewhere(
        self, record: Record, writer: Writer | None, but: tuple[bytes, bytes] | None = None
    ) -> None:
        """Report gold's names of a file that was reached by another one."""
        for directory, name in self._survey.linked.names(record.child):
            if (directory, name) != but:
                self._tell(directory, name, record, writer, content_only=True)

    def _tell(
        self,
        directory: bytes,
        name: bytes,
        record: Record,
        writer: Writer | None,
        *,
        content_only: bool = False,
    ) -> None:
        is_directory = bool(record.mask & Mask.ONDIR)
        for place in self._survey.tree.places(directory):
            for kind in _kinds(record.mask, content_only=content_only):
                self._outlet.event(_in(place, name), kind, is_directory=is_directory, writer=writer)

    def _renamed(self, record: Record, writer: Writer | None) -> None:
        tree = self._survey.tree
        old = [_in(place, record.old_name) for place in tree.places(record.old_parent)]
        is_directory = bool(record.mask & Mask.ONDIR)
        inside = record.parent in tree and bool(tree.places(record.parent))
        self._move(record, is_directory=is_directory, inside=inside)
        new = [_in(place, record.name) for place in tree.places(record.parent)]
        source = old[0][1] if old else self._elsewhere(record) if new else None
        tell = self._outlet.event
        for place in new:
            kind = ChangeKind.RENAMED
            tell(place, kind, is_directory=is_directory, renamed_from=source, writer=writer)
        arrived = {root for root, _ in new}
        for place in old:
            if place[0] not in arrived:
                tell(place, ChangeKind.DELETED, is_directory=is_directory, writer=writer)

    def _move(self, record: Record, *, is_directory: bool, inside: bool) -> None:
        survey = self._survey
        if not is_directory:
            survey.linked.remove(record.child, record.old_parent, record.old_name)
            if inside:
                survey.file_appeared(record.child, record.parent, record.name)
        elif not inside:
            survey.tree.discard(record.child)
        elif record.child in survey.tree and record.old_parent in survey.tree:
            survey.tree.add(record.child, record.parent, record.name)
        else:
            survey.add_directory(record.child, record.parent, record.name)

    def _elsewhere(self, record: Record) -> bytes | None:
        """Return where a file came from, if that directory is still there."""
        descriptor = self._survey.open(record.old_parent, os.O_PATH)
        if descriptor is None:
            return None
        try:
            path = os.readlink(b"/proc/self/fd/%d" % descriptor)
        finally:
            os.close(descriptor)
        return path + b"/" + record.old_name

    def _overflow(self) -> None:
        roots = self._survey.tree.roots()
        self._outlet.lost(roots, "the kernel gave events up: its queue was full")
        self._overflowed = time.monotonic()

    def _survey_again(self) -> None:
        """Learn what became of directories while events were lost."""
        self._overflowed = 0.0
        roots = self._survey.tree.roots()
        self._survey = Survey(self._outlet, self._mark)
        for root in roots:
            with contextlib.suppress(OSError):  # the guard of the roots reports one that is gone
                self.add(root)
        message = "events were lost before, and every directory was looked at again"
        self._outlet.lost(roots, message)


def _is_about_links(record: Record) -> bool:
    """Whether the number of a file's links changed: the kernel tells that without a name."""
    return not record.parent and record.mask & (Mask.ATTRIB | Mask.ONDIR) == Mask.ATTRIB


def _in(place: tuple[bytes, bytes], name: bytes) -> tuple[bytes, bytes]:
    root, directory = place
    if not name:
        return place
    return root, (directory if directory != b"/" else b"") + b"/" + name


def _kinds(mask: int, *, content_only: bool) -> list[ChangeKind]:
    """Return what the bits of one record say; the kernel merges what follows closely."""
    found = []
    if mask & Mask.CREATE and not content_only:
        found.append(ChangeKind.CREATED)
    elif mask & Mask.MODIFY and not mask & Mask.CLOSE_WRITE:
        found.append(ChangeKind.MODIFIED)
    if mask & Mask.CLOSE_WRITE:
        found.append(ChangeKind.CLOSED)
    if mask & Mask.DELETE and not content_only:
        found.append(ChangeKind.DELETED)
    return found or [ChangeKind.METADATA]


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
