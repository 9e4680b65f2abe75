"""What goes to a worker and what comes back: a unit of a tree, and columns of what was found."""

from __future__ import annotations

from array import array
from dataclasses import field
from typing import TYPE_CHECKING, NamedTuple

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from dataguard.model.digest import Algorithm
    from dataguard.model.entry import Unreadable
    from dataguard.stores.sieve import SieveName

__all__ = ["STAT_COLUMNS", "Columns", "Leaf", "Segment", "Unit"]

STAT_COLUMNS = {
    "size": "q",
    "mtime_ns": "q",
    "ctime_ns": "q",
    "inode": "q",
    "mode": "i",
    "uid": "q",
    "gid": "q",
    "nlink": "q",
}
"""The numbers of an entry with their type code, as wide as the columns of a manifest."""


class Segment(NamedTuple):
    """Neighbouring non-directories and empty directories of one directory, in path order."""

    directory: bytes
    names: tuple[bytes, ...]


class Leaf(NamedTuple):
    """A directory that holds no directories, says its link count; whoever reads it lists it."""

    directory: bytes
    listing_bytes: int


@dataclass(frozen=True, slots=True)
class Unit:
    """Entries to stat, and to hash where `read`, below the directory `root`.

    `tick_ns` is the granularity of the file system's timestamps. With `hand_back` large files, and
    what lies beyond some tens of megabytes, are not read but named in the result. With `polite`
    what had to be fetched from the disk is not left in the page cache. With a `sieve` only what it
    lets through is told, and of that only what it does not know is read. A worker reads no more
    than `rate` bytes a second, where it is not 0. `unreadable` is what the walk could not read at
    this place; it rides along.
    """

    root: str
    parts: tuple[Segment | Leaf, ...]
    algorithms: tuple[Algorithm, ...]
    read: bool
    tick_ns: int
    hand_back: bool = False
    polite: bool = False
    sieve: SieveName | None = None
    rate: int = 0
    unreadable: tuple[Unreadable, ...] = ()


@dataclass(slots=True)
class Columns:
    """What was found, as columns with one value for each entry that could be read, in path order.

    `paths` are joined, `lengths` tell them apart. `kinds` has one letter an entry, `racy` and
    `digested` one byte that is 0 or 1. `digests` has the joined values of each algorithm, zeros
    where nothing was digested. `large` is what was handed back, `branches` directories that were
    taken for leaves and hold directories: nothing of them is in the columns. `passed` counts the
    files that a sieve held back; `through` sorts after all that was looked at then.
    """

    paths: bytes = b""
    lengths: array[int] = field(default_factory=lambda: array("i"))
    kinds: bytes = b""
    stats: dict[str, array[int]] = field(default_factory=dict)
    racy: bytes = b""
    digested: bytes = b""
    digests: tuple[bytes, ...] = ()
    links: dict[int, bytes] = field(default_factory=dict)
    unreadable: list[Unreadable] = field(default_factory=list)
    large: list[Segment] = field(default_factory=list)
    branches: list[bytes] = field(default_factory=list)
    files_read: int = 0
    bytes_read: int = 0
    passed: int = 0
    through: bytes = b""
