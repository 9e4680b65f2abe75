"""What a mutating verb asks to do, and the kinds of events it leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum

from dataguard.model.dataclass import dataclass

__all__ = ["Allow", "Change", "EventKind", "permit_all"]


class EventKind(StrEnum):
    """Every kind of event that this dataguard writes; a log may hold later ones."""

    CATALOG_CREATED = "catalog.created"
    VERSION_REGISTERED = "version.registered"
    VERSION_STATE_SET = "version.state_set"
    DIGEST_SHEET_SET = "version.digest_sheet_set"
    LOCATION_ADDED = "location.added"
    TAG_MOVED = "tag.moved"
    AUDIT_RECORDED = "audit.recorded"
    AUDIT_SLICE_RECORDED = "audit.slice_recorded"
    AUDIT_SLICES_MERGED = "audit.slices_merged"
    FINDINGS_RECORDED = "findings.recorded"
    FINDING_STATE_SET = "finding.state_set"
    FINDINGS_RESOLVED = "findings.resolved"
    WORKSPACE_PUT = "workspace.put"
    WORKSPACE_REMOVED = "workspace.removed"
    MOUNT_PUT = "mount.put"
    SEAL_PUT = "seal.put"
    CANARY_PUT = "canary.put"
    RECLAIM_PUT = "reclaim.put"
    RUN_PUT = "run.put"


@dataclass(frozen=True, slots=True)
class Change:
    """What is about to be recorded; `payload` is the event's, complete and final."""

    kind: EventKind
    dataset: str | None
    payload: Mapping[str, object]


Allow = Callable[[Change], None]
"""Asked before each change; raises PolicyError to forbid it."""


def permit_all(change: Change) -> None:
    """Permit every change; a policy's own function raises PolicyError instead."""
    del change
