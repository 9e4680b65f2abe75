"""One path of a version, and what could not be read of a source."""

from __future__ import annotations

from enum import StrEnum

from dataguard.model.dataclass import dataclass

__all__ = ["Entry", "Kind", "Obstacle", "Unreadable"]


class Kind(StrEnum):
    """What an entry is."""

    FILE = "f"
    SYMLINK = "l"
    DIRECTORY = "d"


@dataclass(frozen=True, slots=True)
class Entry:
    """One path of a version; exists only at the edges, datasets travel as record batches.

    `path` is raw bytes, relative, `/`-separated. A symlink's size is its target's length, an
    empty directory's 0; its digest is zeros.
    """

    path: bytes
    kind: Kind
    size: int
    digest: bytes
    link_target: bytes | None = None


class Obstacle(StrEnum):
    """Why an entry could not be taken into account."""

    DENIED = "permission denied"
    IO_ERROR = "read error"
    VANISHED = "vanished while being read"
    UNSTABLE = "changed while being read"
    FIFO = "is a FIFO"
    SOCKET = "is a socket"
    DEVICE = "is a device"
    ARCHIVED = "is archived and has to be restored to be read"
    ABSENT = "was not looked at"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A path that was seen and could not be checked; with everything below it."""

    path: bytes
    obstacle: Obstacle
    detail: str
