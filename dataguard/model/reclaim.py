"""Space of redundant copies: how it can be given back, what is left alone, what came of it."""

from __future__ import annotations

import stat
from enum import StrEnum
from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from datetime import datetime

    from dataguard.model.actor import Actor
    from dataguard.model.copies import FileState, RawPath
    from dataguard.model.digest import Algorithm
    from dataguard.model.entry import Unreadable

__all__ = [
    "RECLAIM_PREFIX",
    "Left",
    "LinkTarget",
    "Method",
    "Reason",
    "ReclaimRecord",
    "ReclaimResult",
    "ReclaimState",
    "ReclaimStep",
    "Replaced",
    "Restored",
    "SeenCopy",
    "UndoResult",
]

RECLAIM_PREFIX = "reclaim/"
"""What the keys of records in the catalog begin with."""


class Method(StrEnum):
    """How the blocks of a copy are given back."""

    AUTO = "auto"
    DEDUPE = "dedupe"
    LINK = "link"


class Reason(StrEnum):
    """Why a copy is left as it is."""

    IN_USE = "in use"
    UNKNOWN_USE = "nobody can tell whether it is in use"
    CHANGED = "changed since it was found"
    DIFFERENT = "differs from the original"
    ATTRIBUTES = "has an access control list or extended attributes"
    IMMUTABLE = "is immutable"
    HARD_LINKS = "has other hard links"
    FOREIGN = "belongs to somebody else"
    FOREIGN_INSIDE = "holds what belongs to somebody else"
    NOT_WHOLE = "holds more or less than gold"
    LEADS_OUT = "a link in it leads out of it"
    MOUNTED = "is a mount point, holds one, or is mounted elsewhere"
    OUTPUTS = "lies in outputs, or holds some"
    UNREADABLE = "who reads it could not read the original"
    UNVERIFIED = "the original is not verified"
    NOT_EXACT = "is no exact copy"
    GOLD = "is gold itself"
    RECORDED = "is recorded as the output of a run"
    REPEATED = "is another name of a file of this plan"
    NO_WAY = "nothing can take its place here"
    NO_GAIN = "would give back nothing"
    INTERRUPTED = "was interrupted, and something else is there now"
    REPLACED = "something else is there now"
    SHARED = "is whole: it shares blocks only"
    FAILED = "could not be done"

    @property
    def is_gap(self) -> bool:
        """Whether something was not known or not possible, as opposed to decided."""
        return self in _GAPS


_GAPS = frozenset(
    {Reason.UNKNOWN_USE, Reason.INTERRUPTED, Reason.REPLACED, Reason.FAILED, Reason.UNVERIFIED}
)


@dataclass(frozen=True, slots=True)
class LinkTarget:
    """What a link in place of a copy would lead to: the file at `path` (absolute)."""

    path: bytes
    readable: bool


@dataclass(frozen=True, slots=True)
class SeenCopy:
    """What is known of a copy and of its original at one moment.

    `own` is what the blocks up to its end take that nothing else uses, `freed` what its removal
    would free, `shareable` whether the kernel would let it share those of the original.
    """

    state: FileState
    gid: int
    attributes: tuple[str, ...]
    immutable: bool
    is_original: bool
    own: int
    freed: int
    shareable: bool


@dataclass(frozen=True, slots=True)
class ReclaimStep:
    """One copy whose blocks can be given back, or a `folder` of copies that becomes one link.

    `original` is the file whose blocks are shared; `target` what a link leads to, None where the
    method is another. `reclaimable` is what `df` gains; `done` whether it was done. A folder has
    `files` regular files of `bytes` together; `state` is its own, `entry` may be empty.
    """

    path: RawPath
    method: Method
    dataset: str
    version: int
    entry: RawPath
    original: RawPath
    bytes: int
    reclaimable: int
    state: FileState
    target: RawPath | None = None
    done: bool = False
    folder: bool = False
    files: int = 1


@dataclass(frozen=True, slots=True)
class Left:
    """A copy that is left as it is."""

    path: RawPath
    reason: Reason
    bytes: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Replaced:
    """A file or folder that a link took the place of, with what is needed to bring it back.

    `temporary` is the name beside it under which one of the two lies in between. `digest` is that
    of the version's manifest, with which the content was compared; a folder has none, and what was
    in it is listed beside the journal. Its `files` have `size` bytes together.
    """

    number: int
    path: bytes
    temporary: bytes
    target: bytes
    dataset: str
    version: int
    entry: bytes
    algorithm: Algorithm
    digest: bytes
    device: int
    inode: int
    size: int
    reclaimable: int
    mode: int
    uid: int
    gid: int
    atime_ns: int
    mtime_ns: int
    files: int = 1

    @property
    def is_folder(self) -> bool:
        """Whether the link took the place of a whole folder."""
        return stat.S_ISDIR(self.mode)


class ReclaimState(StrEnum):
    """How far a reclaim is; `applying` and `undoing` stay behind where somebody was interrupted."""

    APPLYING = "applying"
    APPLIED = "applied"
    UNDOING = "undoing"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class ReclaimRecord:
    """What the catalog keeps of a reclaim: who took back what, and how far it is."""

    id: str
    state: ReclaimState
    since: datetime
    actor: Actor
    versions: tuple[str, ...]
    files: int
    bytes: int
    reclaimed: int

    @property
    def key(self) -> str:
        """The name under which the newest record is kept."""
        return RECLAIM_PREFIX + self.id

    @property
    def dataset(self) -> str | None:
        """The dataset that it is about, None where there are several."""
        names = {reference.rpartition("@")[0] for reference in self.versions}
        return names.pop() if len(names) == 1 else None


@dataclass(frozen=True, slots=True)
class ReclaimResult:
    """Result of `reclaim`: the plan, or with `applied` what was done of it.

    `id` is None where nothing was done. `reclaimable` is what the plan promises, `reclaimed` what
    was given back. `unfinished` names reclaims that were interrupted; the next `--apply` mends what
    they left in between. `unreadable` is what the search could not look at.
    """

    id: str | None
    applied: bool
    steps: tuple[ReclaimStep, ...]
    left: tuple[Left, ...]
    reclaimable: int
    reclaimed: int = 0
    unfinished: tuple[str, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()

    @property
    def has_gaps(self) -> bool:
        """Whether something could not be looked at or done, as opposed to left alone."""
        return bool(self.unreadable) or any(one.reason.is_gap for one in self.left)


@dataclass(frozen=True, slots=True)
class Restored:
    """A file that was brought back, or in a dry run would be; or a folder with so many `files`."""

    path: RawPath
    dataset: str
    version: int
    bytes: int
    done: bool
    files: int = 1


@dataclass(frozen=True, slots=True)
class UndoResult:
    """Result of `reclaim --undo`; `bytes` is the size of all files that were brought back."""

    id: str
    undone: bool
    restored: tuple[Restored, ...]
    left: tuple[Left, ...]
    bytes: int

    @property
    def has_gaps(self) -> bool:
        """Whether a file could not be brought back; those that share blocks need not be."""
        return any(one.reason is not Reason.SHARED for one in self.left)
