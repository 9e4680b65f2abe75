"""What a job wrote into gold and was led away from it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from dataguard.model.entry import Unreadable

__all__ = ["WRITES_SENTENCES", "Diverted", "DivertedKind", "Harvest", "Reported", "Writes"]


class Writes(StrEnum):
    """What becomes of a job's writes into its inputs; later members are stricter."""

    ROUTE = "route"
    REFUSE = "refuse"


WRITES_SENTENCES = {
    Writes.ROUTE: "whatever the job writes under the path of an input lands in its run's outputs "
    "and is listed; the dataset's own files are never opened for writing",
    Writes.REFUSE: "what the job writes under the path of an input is refused",
}
"""What a user can rely on, where mounts of the job's own can be made."""


class Reported(StrEnum):
    """Which diverted writes are findings: none, changes of what is in gold, or all of them."""

    NONE = "none"
    EDITS = "edits"
    ALL = "all"


class DivertedKind(StrEnum):
    """What a job did.

    `new`: a name that gold does not have. `modified`: other content. `metadata`: the content of
    gold with another mode, owner, time, attribute or flag. `deleted`: removed, a directory with
    all that is below it. `replaced`: another kind of entry, or a directory that was removed and
    made again. `renamed` and `linked`: a file of gold under another name. `record`: written in
    place of the run's record.
    """

    NEW = "new"
    MODIFIED = "modified"
    METADATA = "metadata"
    DELETED = "deleted"
    REPLACED = "replaced"
    RENAMED = "renamed"
    LINKED = "linked"
    RECORD = "record"

    @property
    def is_edit(self) -> bool:
        """Whether something that gold has would be another, or gone."""
        return self in _EDITS


_EDITS = (
    DivertedKind.MODIFIED,
    DivertedKind.METADATA,
    DivertedKind.DELETED,
    DivertedKind.REPLACED,
)


@dataclass(frozen=True, slots=True)
class Diverted:
    """One write that was led away.

    `path` is relative to the run's directory, `gold_path` to the version's root. `size` and
    `digest` are those of the file that was `kept` at `path`; None for what is no file, and where
    nothing was kept because nothing but gold's own content was there. `entry` is the kind of entry
    that the job left (`f`, `l`, `d`, `other`), or that it removed. `origin` is the gold path of
    what was renamed or linked, None where that is not known.
    """

    path: bytes
    kind: DivertedKind
    size: int | None = None
    digest: str | None = None
    dataset: str | None = None
    version: int | None = None
    gold_path: bytes | None = None
    entry: str = "f"
    origin: bytes | None = None
    detail: str = ""
    kept: bool = True


@dataclass(frozen=True, slots=True)
class Harvest:
    """All that was led away; `left` is where what could not be looked at or moved still is."""

    diverted: tuple[Diverted, ...]
    unreadable: tuple[Unreadable, ...] = ()
    left: str | None = None
