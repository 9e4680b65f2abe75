"""What the node cache keeps and for whom: objects by digest, pins, marks, and what went wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from datetime import datetime

    from dataguard.errors import DataguardError
    from dataguard.model.actor import Process
    from dataguard.model.digest import Algorithm

__all__ = ["CacheIncident", "CacheObject", "CachePin", "Fetch", "Filling", "Marks", "Wanted"]

Fetch = Callable[[int], Iterator[bytes]]
"""Yields the bytes of an object from an offset to its end.

It raises a deliberate error where it cannot go on; to end early says that there is no more.
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A content: the digest under which it is kept, and how many bytes it has."""

    algorithm: Algorithm
    digest: bytes
    size: int

    @property
    def name(self) -> str:
        """The text of the digest, which is the name of its file."""
        return self.digest.hex()

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.name}"


@dataclass(frozen=True, slots=True)
class CacheObject:
    """A file of the cache as it was when its content was last known to be right."""

    wanted: Wanted
    mtime_ns: int
    ctime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class Filling:
    """What came of one of many: the file where the content is, or why it is not there."""

    wanted: Wanted
    path: str | None = None
    problem: DataguardError | None = None


@dataclass(frozen=True, slots=True)
class Marks:
    """How full the cache may get, in bytes.

    What would bring it over `high` makes room down to `low`; `reserve` bytes of the file system
    are left free in any case.
    """

    high: int
    low: int
    reserve: int = 0


@dataclass(frozen=True, slots=True)
class CachePin:
    """Somebody who needs objects to stay: the process that made it, and what it made it for.

    Where it is `lasting`, `subject` is a lease of the catalog, `mount:TARGET` or `run:ID`, that may
    go on without the process. `name` tells it from other pins, `count` is how many objects it has.
    """

    name: str
    subject: str
    since: datetime
    process: Process
    lasting: bool
    count: int


@dataclass(frozen=True, slots=True)
class CacheIncident:
    """Bytes that were refused: `what` happened, to an object named as `algorithm:hex`."""

    time: datetime
    object: str
    what: str
