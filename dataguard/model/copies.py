"""Redundant copies of gold: what was found, what was proved, and what it costs."""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from dataguard.model.dataclass import dataclass
from dataguard.model.finding import Code

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from dataguard.model.entry import Unreadable
    from dataguard.model.finding import Finding

__all__ = [
    "AccountLine",
    "CopiesHistory",
    "CopiesResult",
    "Copy",
    "CopyGroup",
    "CopyKind",
    "FileState",
    "FolderCopy",
    "ListedPath",
    "ScanRecord",
    "SkippedPlace",
]

RawPath: TypeAlias = bytes  # classes below have a field named `bytes`


class CopyKind(StrEnum):
    """What was proved of a copy; a `link` is the original itself and costs nothing."""

    EXACT = "exact"
    PARTIAL = "partial"
    ARCHIVE_MEMBER = "archive_member"
    TABLE = "table"
    LINK = "link"

    @property
    def code(self) -> Code | None:
        """The code of its finding; None for what is no finding."""
        return _CODES.get(self)


_CODES = {
    CopyKind.EXACT: Code.DG201,
    CopyKind.PARTIAL: Code.DG202,
    CopyKind.ARCHIVE_MEMBER: Code.DG203,
    CopyKind.TABLE: Code.DG204,
}


@dataclass(frozen=True, slots=True)
class FileState:
    """What `stat` said of a file before it was read; what acts on it later compares again.

    `allocated` is what its blocks take, in bytes.
    """

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    uid: int
    links: int
    allocated: int


@dataclass(frozen=True, slots=True)
class Copy:
    """One file that repeats gold.

    `path` and `original` are absolute; `entry` is the path in the version, and `original` None
    where no location of the version is on this host. `bytes` is how much of the file is gold's,
    `reclaimable` what the file system would gain without the copy: whole blocks that nothing else
    uses, 0 for links and shared extents. `state` is None for what came from a list without it.
    `evidence` holds JSON values only.
    """

    path: RawPath
    kind: CopyKind
    dataset: str
    version: int
    entry: RawPath
    original: RawPath | None
    bytes: int
    reclaimable: int
    state: FileState | None = None
    evidence: Mapping[str, object] = field(default_factory=dict)

    @property
    def code(self) -> Code | None:
        """The code of its finding; None for a link."""
        return self.kind.code

    @property
    def reference(self) -> str:
        """The pinned reference of the version, `faces@3`."""
        return f"{self.dataset}@{self.version}"


@dataclass(frozen=True, slots=True)
class ListedPath:
    """One path of a list."""

    path: RawPath


@dataclass(frozen=True, slots=True)
class SkippedPlace:
    """An area that was left out, and why."""

    path: RawPath
    reason: str


@dataclass(frozen=True, slots=True)
class FolderCopy:
    """A directory that repeats a part of a version: `prefix`, empty for the whole.

    `files` and `bytes` are what both have under the same relative path with the same content, of
    `gold_files` and `gold_bytes`. `differing`, `missing` and `extra` are the first relative paths
    of each, the counts say how many there are.
    """

    path: RawPath
    dataset: str
    version: int
    prefix: RawPath
    files: int
    gold_files: int
    bytes: int
    gold_bytes: int
    reclaimable: int
    differing: tuple[ListedPath, ...] = ()
    missing: tuple[ListedPath, ...] = ()
    extra: tuple[ListedPath, ...] = ()
    differing_count: int = 0
    missing_count: int = 0
    extra_count: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether the directory has everything of gold's, and nothing else."""
        return not (self.differing_count or self.missing_count or self.extra_count)


@dataclass(frozen=True, slots=True)
class CopyGroup:
    """Files with one content that is not in gold; `reclaimable` if one of them stayed."""

    digest: str
    size: int
    count: int
    reclaimable: int
    paths: tuple[ListedPath, ...]


@dataclass(frozen=True, slots=True)
class AccountLine:
    """What the copies of one user, place, dataset or age cost; `by` names which of these."""

    by: str
    name: str
    files: int
    bytes: int
    reclaimable: int


@dataclass(frozen=True, slots=True)
class ScanRecord:
    """One earlier scan of places, as the history shows it."""

    finished: datetime
    places: tuple[ListedPath, ...]
    user: str
    complete: bool
    files: int
    copies: int
    bytes: int
    reclaimable: int


@dataclass(frozen=True, slots=True)
class CopiesHistory:
    """Result of `copies --history`, oldest first."""

    scans: tuple[ScanRecord, ...]


@dataclass(frozen=True, slots=True)
class CopiesResult:
    """Result of `copies`.

    `scanned` counts regular files, `candidates` those whose size occurs in gold, `read` those that
    were opened to compare them as a whole, `looked_into` those that were opened to find parts,
    members or rows in them, once for each of these. `skipped` are the areas that were left out,
    each with the reason. `complete` is false where something could not be checked, or where the
    time was over before the end.
    `shared_among` are the bytes of blocks that several of the copies have, and their originals
    have not: gained beside `reclaimable` where all of these go and nothing else has them.
    """

    complete: bool
    places: tuple[ListedPath, ...]
    copies: tuple[Copy, ...]
    folders: tuple[FolderCopy, ...]
    groups: tuple[CopyGroup, ...]
    account: tuple[AccountLine, ...]
    bytes: int
    reclaimable: int
    scanned: int
    candidates: int
    read: int
    read_bytes: int
    gold_files: int
    skipped: tuple[SkippedPlace, ...]
    unreadable: tuple[Unreadable, ...]
    findings: tuple[Finding, ...]
    resumable: bool = False
    shared_among: int = 0
    looked_into: int = 0
