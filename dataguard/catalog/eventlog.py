"""The event log as files: append-only JSON lines that can rebuild the database.

Segments are named after their first event, `000000000001.jsonl`, and hold 10,000 events. A line
that does not end in a newline was being written when the process died; nothing reads it, and the
next export cuts it off. Parallel exports are kept apart by a lock on the folder itself, which
leaves no file and ends with its process.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dataguard.core.chain import START, Event, Head, event_line, find_break, parse_line
from dataguard.errors import CatalogDamagedError, ConflictError, StoreUnreachableError
from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["EventLog", "LoggedEvent", "sync_folder"]

_EVENTS_PER_SEGMENT = 10_000
_SUFFIX = ".jsonl"
_CHUNK = 1 << 16
_BATCH_BYTES = 16 << 20
_POLL_S = 0.01
_DAMAGE_HINT = (
    "if `dataguard catalog check` finds the database sound, move the folder aside and the next "
    "command writes it anew; else restore both from a backup"
)


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event and where it stands, `FILE:LINE`."""

    event: Event
    where: str


@dataclass(frozen=True, slots=True)
class _Written:
    """The segment that was written last, as it was then: a line of a thousand findings is long."""

    path: str
    state: tuple[int, int, int]
    head: Head

    @classmethod
    def now(cls, path: str, head: Head) -> _Written | None:
        """Return what was just written; None where somebody takes it away."""
        try:
            return cls(path, _state(path), head)
        except OSError:
            return None

    def is_still(self, path: str) -> bool:
        """Whether a segment is this one and nobody wrote to it since; raises OSError."""
        return path == self.path and _state(path) == self.state


class EventLog:
    """The folder of segments."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._written: _Written | None = None

    def tail(self) -> Head:
        """Return the last complete event's link; `START` where the log is empty or not there.

        Raises:
            CatalogDamagedError: the last line is no event.
            StoreUnreachableError: the files cannot be read.
        """
        for name in reversed(self._segments()):
            path = os.path.join(self.directory, name)
            with _converting("read", path):
                if self._written is not None and self._written.is_still(path):
                    return self._written.head
                line = _last_line(path)
            if line:
                event = _parsed(line, f"the last line of `{path}`")
                return Head(event.seq, event.hash)
        return START

    def events(self) -> Iterator[LoggedEvent]:
        """Yield every complete event in the order of the files, whether or not the chain holds.

        Raises:
            CatalogDamagedError: a line is no event.
            StoreUnreachableError: the files cannot be read.
        """
        for name in self._segments():
            path = os.path.join(self.directory, name)
            with _converting("read", path), open(path, "rb") as lines:
                for number, line in enumerate(lines, start=1):
                    if line.endswith(b"\n"):
                        where = f"{path}:{number}"
                        yield LoggedEvent(_parsed(line, where), where)

    def verified(self) -> Iterator[LoggedEvent]:
        """Yield every complete event of an unbroken chain.

        Raises:
            CatalogDamagedError: the chain is broken; names the line.
        """
        head = START
        for logged in self.events():
            found = find_break(head, logged.event)
            if found is not None:
                raise CatalogDamagedError(f"{logged.where}: {found.reason}", hint=_DAMAGE_HINT)
            head = Head(logged.event.seq, logged.event.hash)
            yield logged

    def is_writable(self) -> bool:
        """Whether an export could write, as far as can be seen without trying."""
        if not os.path.isdir(self.directory):
            return os.access(os.path.dirname(self.directory), os.W_OK | os.X_OK)
        last = [os.path.join(self.directory, name) for name in self._segments()[-1:]]
        return all(os.access(path, os.W_OK) for path in (self.directory, *last))

    @contextmanager
    def locked(self, *, wait_s: float) -> Iterator[None]:
        """Keep every other export out.

        Raises:
            ConflictError: another one did not end within `wait_s` seconds.
            StoreUnreachableError: the folder cannot be made or opened.
        """
        with _converting("open", self.directory):
            _make_folder(self.directory)
            descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _lock(descriptor, self.directory, wait_s)
            yield
        finally:
            os.close(descriptor)

    def export(self, events_after: Callable[[int], Iterator[Event]]) -> None:
        """Append the events that the log lacks, durably; needs `locked`.

        Raises:
            CatalogDamagedError: they do not follow the log's last event.
            StoreUnreachableError: the files cannot be written.
        """
        head = self.tail()
        for first, lines, end in _batches(self._following(head, events_after(head.seq))):
            path = self._write(first, lines)
            self._written = _Written.now(path, end)

    def _following(self, head: Head, events: Iterator[Event]) -> Iterator[Event]:
        for event in events:
            if find_break(head, event) is not None:
                raise CatalogDamagedError(
                    f"event {event.seq} of the database does not follow the log in "
                    f"`{self.directory}`",
                    hint="`dataguard catalog rebuild` makes the database from the log",
                )
            head = Head(event.seq, event.hash)
            yield event

    def _write(self, first: int, lines: list[bytes]) -> str:
        path = os.path.join(self.directory, f"{first:012}{_SUFFIX}")
        with _converting("write", path):
            with open(path, "ab") as segment:
                segment.truncate(_complete_bytes(path))
                segment.writelines(lines)
                segment.flush()
                os.fsync(segment.fileno())
            # Always, since whoever made the file may have died before this.
            sync_folder(self.directory)
        return path

    def _segments(self) -> list[str]:
        with _converting("read", self.directory):
            try:
                names = os.listdir(self.directory)
            except FileNotFoundError:
                return []
        return sorted(name for name in names if name.endswith(_SUFFIX) and name[0].isdigit())


def _state(path: str) -> tuple[int, int, int]:
    status = os.stat(path)
    return status.st_ino, status.st_size, status.st_mtime_ns


def _segment_of(seq: int) -> int:
    return (seq - 1) // _EVENTS_PER_SEGMENT * _EVENTS_PER_SEGMENT + 1


def _batches(events: Iterator[Event]) -> Iterator[tuple[int, list[bytes], Head]]:
    """Yield lines to write at once, with the segment that they belong to, and the last link."""
    segment, size = 0, 0
    lines: list[bytes] = []
    head = START
    for event in events:
        first = _segment_of(event.seq)
        if lines and (first != segment or size > _BATCH_BYTES):
            yield segment, lines, head
            lines, size = [], 0
        segment = first
        lines.append(event_line(event))
        size += len(lines[-1])
        head = Head(event.seq, event.hash)
    if lines:
        yield segment, lines, head


def _parsed(line: bytes, where: str) -> Event:
    try:
        return parse_line(line)
    except ValueError as err:
        raise CatalogDamagedError(f"{where}: {err}", hint=_DAMAGE_HINT) from err


def _last_line(path: str) -> bytes:
    """Return the last complete line; empty where there is none."""
    end = _complete_bytes(path)
    with open(path, "rb") as segment:
        start = _after_newline(segment.fileno(), end - 1)
        return os.pread(segment.fileno(), end - start, start)


def _complete_bytes(path: str) -> int:
    """Return how much of a segment is complete lines."""
    with open(path, "rb") as segment:
        return _after_newline(segment.fileno(), os.fstat(segment.fileno()).st_size)


def _after_newline(descriptor: int, end: int) -> int:
    """Return the position after the last newline before `end`, 0 where there is none."""
    while end > 0:
        start = max(0, end - _CHUNK)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _make_folder(path: str) -> None:
    if not os.path.isdir(path):
        os.makedirs(path, exist_ok=True)
        sync_folder(os.path.dirname(path))


def sync_folder(path: str) -> None:
    """Make the names in a folder durable; raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: str, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            if err.errno not in {errno.EWOULDBLOCK, errno.EINTR}:
                raise StoreUnreachableError(f"cannot lock `{path}`: {err.strerror}") from err
            if time.monotonic() >= deadline:
                raise ConflictError(
                    f"another process keeps the event log `{path}` locked",
                    hint=f"`fuser -v {path}` shows which one",
                ) from err
            time.sleep(_POLL_S)
        else:
            return


@contextmanager
def _converting(operation: str, path: str) -> Iterator[None]:
    try:
        yield
    except OSError as err:
        raise StoreUnreachableError(
            f"cannot {operation} the event log `{path}`: {err.strerror}",
            hint="check the folder's rights and its free space",
        ) from err
