"""What commands came to: the values that reports show."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from dataguard.model.attempt import Attempts
    from dataguard.model.audit import AuditLevel, AuditRecord, SliceRecord
    from dataguard.model.confinement import Confinement
    from dataguard.model.dataset import Location, Tag, Version
    from dataguard.model.entry import Unreadable
    from dataguard.model.finding import Finding
    from dataguard.model.gate import Check
    from dataguard.model.mount import MountRecord
    from dataguard.model.run import Run, RunInput, RunOutput
    from dataguard.model.seal import SealResult, SealView

__all__ = [
    "AuditResult",
    "AuditedVersion",
    "ChangedEntry",
    "DatasetList",
    "DatasetRow",
    "DiffEntry",
    "DiffResult",
    "FindingList",
    "LineageResult",
    "LogRow",
    "RegisterResult",
    "RenamedEntry",
    "RunResult",
    "StandingResult",
    "TagResult",
    "VersionDetails",
    "VersionLog",
    "Writers",
]


@dataclass(frozen=True, slots=True)
class Writers:
    """Who could write regular files of a source now, by its permission bits.

    Counts of files that the owner of each user id, members of each group id, and everybody may
    write. Root, access control lists and other mounts are not part of it.
    """

    owners: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, int] = field(default_factory=dict)
    everybody: int = 0


@dataclass(frozen=True, slots=True)
class RegisterResult:
    """Result of `register`.

    Where it was `refused`, nothing was recorded, and `version` and `root` are those that stand, if
    any. `hashed` counts the files that were read, `resumed` those that an interrupted attempt had
    read, `unlisted` those that the expected manifest does not name.
    """

    dataset: str
    version: int | None
    root: str | None
    created: bool
    files: int
    bytes: int
    algorithm: str
    strength: str
    hashed: int
    location: str
    manifest: str | None
    findings: tuple[Finding, ...]
    unreadable: tuple[Unreadable, ...] = ()
    writers: Writers = field(default_factory=Writers)
    expected: str | None = None
    unlisted: int = 0
    refused: bool = False
    dry_run: bool = False
    note: str | None = None
    resumed: int = 0
    seal: SealResult | None = None


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """One line of `list`: a version with its location."""

    dataset: str
    version: int
    root: str
    files: int
    bytes: int
    location: str | None
    state: str
    seal: str = "none"


@dataclass(frozen=True, slots=True)
class DatasetList:
    """Result of `list`: the newest version of each dataset."""

    datasets: tuple[DatasetRow, ...]


@dataclass(frozen=True, slots=True)
class VersionDetails:
    """Result of `show`."""

    version: Version
    locations: tuple[Location, ...]
    tags: tuple[Tag, ...]
    mounts: tuple[MountRecord, ...]
    guarantee: str
    last_audit: AuditRecord | None
    runs: tuple[Run, ...]
    open_findings: int
    seals: tuple[SealView, ...] = ()


@dataclass(frozen=True, slots=True)
class LogRow:
    """One line of `log`: what happened to a dataset."""

    seq: int
    time: datetime
    user: str
    host: str
    what: str
    version: int | None
    detail: str


@dataclass(frozen=True, slots=True)
class VersionLog:
    """Result of `log`, oldest first."""

    dataset: str
    rows: tuple[LogRow, ...]


@dataclass(frozen=True, slots=True)
class TagResult:
    """Result of `tag`; `previous` is the version the tag named before."""

    dataset: str
    tag: str
    version: int
    root: str
    previous: int | None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class StandingResult:
    """Result of `withdraw`, `quarantine` and `release`: who uses the version now."""

    dataset: str
    version: int
    root: str
    state: str
    previous_state: str
    reason: str
    mounts: tuple[MountRecord, ...]
    runs: tuple[Run, ...]
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class DiffEntry:
    """A path that only one side has."""

    path: bytes
    kind: str
    size: int


@dataclass(frozen=True, slots=True)
class ChangedEntry:
    """A path whose kind or content differs."""

    path: bytes
    kind: str
    size: int
    previous_kind: str
    previous_size: int


@dataclass(frozen=True, slots=True)
class RenamedEntry:
    """The same content under another path; `previous_path` is the old one."""

    path: bytes
    previous_path: bytes
    kind: str
    size: int


@dataclass(frozen=True, slots=True)
class DiffResult:
    """Result of `diff`, each list in path order."""

    left: str
    right: str
    added: tuple[DiffEntry, ...]
    removed: tuple[DiffEntry, ...]
    changed: tuple[ChangedEntry, ...]
    renamed: tuple[RenamedEntry, ...]


@dataclass(frozen=True, slots=True)
class AuditedVersion:
    """One version at one location within an audit; `baseline` says whether times were compared.

    `reason` says why nothing could be checked. `part` is the record of a slice; an audit that was
    merged has the number of its `slices`, and those that are missing.
    """

    dataset: str
    version: int
    root: str
    location: str
    complete: bool
    clean: bool
    baseline: bool
    checked_files: int
    checked_bytes: int
    findings: int
    unreadable: int
    reason: str | None = None
    slices: int | None = None
    missing_slices: tuple[int, ...] = ()
    part: SliceRecord | None = None


@dataclass(frozen=True, slots=True)
class AuditResult:
    """Result of `audit`; `slice` is the part that was asked for, `I/T`.

    `damaged` names the versions with a manifest or sheet that cannot be trusted.
    """

    level: AuditLevel
    complete: bool
    checked_files: int
    checked_bytes: int
    findings: Collection[Finding]
    unreadable: tuple[Unreadable, ...]
    versions: tuple[AuditedVersion, ...]
    slice: str | None = None
    damaged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FindingList:
    """Result of `findings list`, `show`, `ack` and `resolve`."""

    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class RunResult:
    """Result of `run`; `exit_code` is the job's own, None where it was not started.

    `checks` are those of the gate. `diverted` lists writes that were led away: from
    gold, or from the run's own record. `confinement` says how the job was confined; None where
    none was looked for. `attempts` is what is known of writes that were refused to it.
    """

    run: str | None
    allowed: bool
    state: str
    exit_code: int | None
    outputs_directory: str | None
    inputs: tuple[RunInput, ...]
    outputs: tuple[RunOutput, ...]
    diverted: tuple[RunOutput, ...]
    findings: Collection[Finding]
    unreadable: tuple[Unreadable, ...]
    enforced: bool
    checks: tuple[Check, ...] = ()
    confinement: Confinement | None = None
    attempts: Attempts | None = None


@dataclass(frozen=True, slots=True)
class LineageResult:
    """Result of `lineage`: the runs that read a version, or the run that made a file.

    `output` is the file's entry in that run; `unchanged` whether the file still has the content
    that the run wrote, None where that was not checked.
    """

    subject: str
    kind: str
    runs: tuple[Run, ...]
    output: RunOutput | None = None
    unchanged: bool | None = None
