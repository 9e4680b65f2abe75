"""Which events of fanotify are gold's, and what they say."""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING

from dataguard.model.watch import ChangeKind
from dataguard.watchers.fanotifyrecords import Mask, Record, records
from dataguard.watchers.writers import Attribution

if TYPE_CHECKING:
    from collections.abc import Callable

    from dataguard.model.watch import Writer
    from dataguard.watchers.outlet import Outlet
    from dataguard.watchers.survey import Survey

__all__ = ["Judge"]


class Judge:
    """Takes events of whole file systems, and reports those that a survey knows to be gold's.

    `canary` is the key of the canary's directory, or empty; `overflowed` is called where the
    kernel gave events up.
    """

    def __init__(
        self, survey: Survey, outlet: Outlet, canary: bytes, overflowed: Callable[[], None]
    ) -> None:
        self._survey = survey
        self._outlet = outlet
        self._canary = canary
        self._overflowed = overflowed
        self._admitted: deque[tuple[bytes, tuple[Writer | None, ...]]] = deque()
        self._waiting = 0
        self._fresh: set[bytes] = set()  # directories that what was admitted itself brings

    @property
    def waiting(self) -> int:
        """Bytes of events that were admitted and not reported."""
        return self._waiting

    def admit(self, buffer: bytes) -> None:
        """Take a buffer of the kernel's for later: ask who wrote, and close what came with it.

        That, and that events were given up, is all that cannot wait. A long queue in the kernel
        slows every writer down, since it looks through it for an event to merge with.
        """
        found = tuple(records(buffer))
        if any(record.mask & Mask.OVERFLOW for record in found):
            self._overflowed()
        try:
            self._admitted.append((buffer, tuple(self._writers(found))))
            self._waiting += len(buffer)
        finally:
            for record in found:
                if record.pidfd >= 0:
                    os.close(record.pidfd)

    def report(self) -> None:
        """Report what is gold's in the oldest buffer that was admitted."""
        buffer, writers = self._admitted.popleft()
        self._waiting -= len(buffer)
        for record, writer in zip(records(buffer), writers, strict=True):
            self._judge(record, writer)
        if not self._admitted:
            self._fresh.clear()

    def _writers(self, found: tuple[Record, ...]) -> list[Writer | None]:
        """Ask who wrote, before anything else is done: most writers end soon."""
        asked = Attribution()
        writers: list[Writer | None] = []
        for record in found:
            ours = self._concerns(record) or record.parent in self._fresh
            if ours and record.mask & Mask.ONDIR:
                self._fresh.add(record.child)
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
        if record.mask & Mask.RENAME:
            self._renamed(record, writer)
        elif self._is_ours(record.parent):
            self._changed(record, writer)
        elif record.child in survey.linked:
            self._changed_elsewhere(record, writer)
        elif record.parent == self._canary and self._canary:
            self._outlet.canary()
        elif survey.crosses and _is_about_links(record) and survey.link_appeared(record.child):
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
        kinds = _kinds(record.mask, content_only=content_only)
        for place in self._survey.tree.places(directory):
            path = _in(place, name)  # one for all kinds: in a burst many wait
            for kind in kinds:
                self._outlet.event(path, kind, is_directory=is_directory, writer=writer)

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
