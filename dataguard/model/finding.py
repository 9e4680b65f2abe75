"""Findings: what is wrong with the data or its use."""

from __future__ import annotations

import hashlib
from dataclasses import field
from enum import Enum, StrEnum
from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = ["Code", "Finding", "FindingState", "Severity", "fingerprint"]


class Severity(StrEnum):
    """How bad a finding is; `error` and `critical` make a command exit with 3."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Order: info < warning < error < critical."""
        return list(Severity).index(self)


class Code(Enum):
    """Every finding code: its title and what to do about it."""

    DG101 = ("content changed", "restore the file from a replica, or register with --supersede")
    DG102 = ("file missing", "restore the file from a replica, or register with --supersede")
    DG103 = ("extra file", "move the file out, or register with --append")
    DG104 = ("kind changed", "put the original kind of entry back, or register with --supersede")
    DG105 = ("metadata changed", "check who did it; register again to take a new baseline")
    DG106 = ("unstable while read", "stop the writer and run the command again")
    DG107 = ("bit rot", "check the disk; restore the file from a replica")
    DG108 = ("hard link into gold", "replace the other links by copies; they go round a mount")
    DG109 = ("symlink leaves the root", "register the link's target too, or replace the link")
    DG201 = ("exact copy", "use the mounted dataset in place of the copy")
    DG202 = ("partial copy", "use the mounted dataset in place of the copy")
    DG203 = ("copy inside an archive", "use the mounted dataset in place of the archive")
    DG204 = ("re-encoded table", "use the mounted dataset in place of the converted table")
    DG301 = ("write into gold", "find the writer; run `dataguard audit`")
    DG302 = ("write into gold blocked", "send the output to the outputs place")
    DG303 = ("output declared inside gold", "choose an output place outside gold")
    DG304 = ("input changed during a run", "do not use the outputs; restore the input, run again")
    DG401 = ("mount missing or replaced", "mount again: `dataguard mount`")
    DG402 = ("mount writable", "unmount and mount again: `dataguard unmount`, `dataguard mount`")
    DG403 = ("mount probe failed", "unmount and mount again, then `dataguard doctor`")
    DG501 = ("audit overdue", "run `dataguard audit`")
    DG502 = ("version withdrawn or quarantined", "use another version, or release this one")
    DG503 = ("unpinned input", "name a version: NAME@N")
    DG504 = ("output outside designated areas", "choose a place that the policy allows")
    DG601 = ("object overwritten under the pin", "check who overwrote it; read the pinned version")
    DG602 = ("delete marker over a pinned object", "remove the delete marker")
    DG603 = ("pinned object version gone", "restore the object from a replica")
    DG604 = ("bucket versioning suspended", "turn versioning on again")
    DG605 = (
        "lock or retention weaker than policy",
        "set the lock or the bucket policy that is asked for",
    )
    DG901 = ("events lost", "run `dataguard audit`; raise the queue limit")
    DG902 = ("not watched", "run `dataguard audit`; see `dataguard watch --explain`")
    DG903 = ("watcher was down", "run `dataguard audit`")
    DG904 = ("store has no events", "rely on periodic audits")

    def __init__(self, title: str, remedy: str) -> None:
        self.title = title
        self.remedy = remedy

    @property
    def default_severity(self) -> Severity:
        """Severity where no policy says otherwise."""
        warnings = ("DG105", "DG108", "DG109", "DG302")
        return Severity.WARNING if self.name in warnings else Severity.ERROR

    @property
    def is_gap(self) -> bool:
        """Whether the finding says that something could not be checked."""
        return self.name.startswith("DG9")


class FindingState(StrEnum):
    """Life of a finding: resolved findings open again when they are seen again."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with the data or its use.

    `path` is relative to the version's root; absolute outside every version; empty for the
    version as a whole. `evidence` holds JSON values only. The times are those of this sighting
    until the catalog merges it with earlier ones. `known_id` is the id where the path is not told.
    """

    code: Code
    severity: Severity
    path: bytes
    message: str
    first_seen: datetime
    last_seen: datetime
    dataset: str | None = None
    version: int | None = None
    count: int = 1
    state: FindingState = FindingState.OPEN
    evidence: Mapping[str, object] = field(default_factory=dict)
    known_id: str = ""

    @property
    def id(self) -> str:
        """Fingerprint by which repeats are merged."""
        return self.known_id or fingerprint(self.code, self.dataset, self.version, self.path)

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return self.code.remedy


def fingerprint(code: Code, dataset: str | None, version: int | None, path: bytes) -> str:
    """Return the id under which repeats of one finding are merged: `F-` and 16 hex digits."""
    text = f"{code.name}\n{dataset or ''}\n{'' if version is None else version}\n".encode()
    return "F-" + hashlib.sha256(text + path).hexdigest()[:16]
