"""Result of `audit`, and what it says of each version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection

    from dataguard.model.audit import AuditLevel, SliceRecord
    from dataguard.model.entry import Unreadable
    from dataguard.model.finding import Finding

__all__ = ["AuditResult", "AuditedVersion"]


@dataclass(frozen=True, slots=True)
class AuditedVersion:
    """One version at one location within an audit; `baseline` says whether times were compared.

    `reason` says why nothing could be checked. `part` is the record of a slice; an audit that was
    merged has the number of its `slices`, and those that are missing. `proves` says in a sentence
    what a complete and clean audit of this `level` there shows. `protection` is what is known of
    who can write there. `policy_document` is the digest of the policy that stands on a bucket
    (`none`: there is none); None where it was not looked at.
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
    level: AuditLevel | None = None
    proves: str = ""
    protection: tuple[str, ...] = ()
    policy_document: str | None = None


@dataclass(frozen=True, slots=True)
class AuditResult:
    """Result of `audit`; `slice` is the part that was asked for, `I/T`.

    `level_number` is what `level` is among 0 to 4, `level_note` says how that differs from the
    number that was asked for. `damaged` names the versions with a manifest or sheet that cannot be
    trusted.
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
    level_number: int = 4
    level_note: str = ""
