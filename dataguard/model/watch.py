"""What a watcher reports: events, the processes behind them, and gaps in what it saw."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from dataguard.model.finding import Code

if TYPE_CHECKING:
    from datetime import datetime

__all__ = [
    "ChangeKind",
    "Coverage",
    "Gap",
    "GapKind",
    "Limit",
    "Sighting",
    "Source",
    "WatchEvent",
    "Writer",
]


class Source(StrEnum):
    """Where events come from; earlier members see more."""

    FANOTIFY = "fanotify"
    INOTIFY = "inotify"
    POLLING = "polling"
    OBJECTS = "objects"


class ChangeKind(StrEnum):
    """What happened to a path, as far as the source tells; each makes the path a suspect."""

    CREATED = "created"
    MODIFIED = "modified"
    CLOSED = "closed"  # after having been open for writing: a store through a mapping shows so
    DELETED = "deleted"
    RENAMED = "renamed"
    METADATA = "metadata"


@dataclass(frozen=True, slots=True)
class Writer:
    """The process behind an event, as far as it was there to be asked.

    Empty text and None stand for what is not known; a pid is given only where it was certain
    that it still named the process that wrote. `start_time` is that of /proc/PID/stat in clock
    ticks since boot. `number` is the number that the process had, which another may have by now.

    Of a write to an object there is no process: `principal` is whom the event of the store names,
    `address` where the request came from, `object_version` the version that it made.
    """

    pid: int | None = None
    start_time: int | None = None
    uid: int | None = None
    executable: str = ""
    command: tuple[str, ...] = ()
    cgroup: str = ""
    principal: str = ""
    address: str = ""
    object_version: str = ""
    number: int | None = None

    @property
    def is_known(self) -> bool:
        """Whether more is known than a number."""
        return self.pid is not None or self.uid is not None or bool(self.principal or self.address)


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One change below a watched root.

    `path` is absolute and below `root`, or is the root; where a file was reached by another
    name, it is the name by which gold knows it. `renamed_from` is the old absolute path of a
    rename, wherever it was; None where it is not known. An event says that something may have
    changed, never that it has.
    """

    root: bytes
    path: bytes
    kind: ChangeKind
    time: datetime
    is_directory: bool = False
    renamed_from: bytes | None = None
    writer: Writer | None = None


class GapKind(StrEnum):
    """Why a source did not see everything.

    `left_out` is no finding: a mount that nobody wants to be seen, and that tells nothing.
    """

    OVERFLOW = "overflow"
    LIMIT = "limit"
    UNREADABLE = "unreadable"
    UNMOUNTED = "unmounted"
    REPLACED = "replaced"
    MOUNTED_OVER = "mounted_over"
    READER_DIED = "reader_died"
    DOWN = "down"
    NO_EVENTS = "no_events"
    LEFT_OUT = "left_out"

    @property
    def code(self) -> Code:
        """The finding that reports such a gap."""
        match self:
            case GapKind.OVERFLOW | GapKind.READER_DIED:
                return Code.DG901
            case GapKind.DOWN:
                return Code.DG903
            case GapKind.NO_EVENTS:
                return Code.DG904
            case _:
                return Code.DG902


@dataclass(frozen=True, slots=True)
class Gap:
    """A part of a watched root, and a time, of which a source cannot say what happened.

    `path` is the absolute path below which nothing is known; `message` says why in words that
    help at night.
    """

    root: bytes
    path: bytes
    kind: GapKind
    message: str
    time: datetime


Sighting = WatchEvent | Gap
"""What a source reports, in the order in which it was seen."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit of the host that a source may meet: its name, value, and how to raise it."""

    name: str
    value: int
    used: int | None
    hint: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a source sees of one root, what it does not see, and what would make it blind."""

    root: bytes
    source: Source
    filesystem: str
    sees: tuple[str, ...]
    blind_to: tuple[str, ...]
    limits: tuple[Limit, ...] = ()
    weaker_because: str | None = None
