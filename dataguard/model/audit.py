"""Audits: what was compared with a version's manifest, and how thoroughly."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from dataguard.model.actor import Actor

__all__ = ["AuditLevel", "AuditRecord"]


class AuditLevel(StrEnum):
    """`quick`: the baseline's metadata and the content of suspects; `full`: every byte."""

    QUICK = "quick"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One audit of one version at one location.

    `clean` means complete and without a finding of severity `error` or worse.
    """

    dataset: str
    version: int
    location: str
    level: AuditLevel
    started: datetime
    finished: datetime
    complete: bool
    clean: bool
    checked_files: int
    checked_bytes: int
    findings: int
    unreadable: int
    actor: Actor
