"""`log`: what happened to a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.model.reference import check_dataset_name
from dataguard.model.results.log import LogRow, VersionLog
from dataguard.report.lines import number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dataguard.actions.context import Context
    from dataguard.core.chain import Event

__all__ = ["log"]

_WORDS = {
    "version.registered": "registered",
    "version.state_set": "standing changed",
    "version.digest_sheet_set": "digests added",
    "location.added": "location added",
    "tag.moved": "tag moved",
    "audit.recorded": "audited",
    "audit.slice_recorded": "slice audited",
    "audit.slices_merged": "slices merged",
    "findings.recorded": "findings",
    "findings.resolved": "findings resolved",
    "finding.state_set": "finding changed",
    "mount.put": "mount",
    "seal.put": "seal",
    "reclaim.put": "reclaim",
}

_MEMBERS = {"version.registered": ("location", "place"), "tag.moved": ("tag", "name")}
"""Events of which one member of one record says all that matters."""


def log(ctx: Context, dataset: str) -> VersionLog:
    """Return the events of a dataset, oldest first.

    Raises:
        NotFoundError: there is no such dataset.
        UsageError: the name is none.
    """
    ctx.catalog.dataset(check_dataset_name(dataset))
    rows = [
        _row(event) for event in ctx.catalog.events() if event.payload.get("dataset") == dataset
    ]
    return VersionLog(dataset, tuple(rows))


def _row(event: Event) -> LogRow:
    put = event.payload.get("put")
    tables: Mapping[str, list[Mapping[str, object]]] = put if isinstance(put, dict) else {}
    return LogRow(
        seq=event.seq,
        time=event.time,
        user=event.actor.user,
        host=event.actor.host,
        what=_WORDS.get(event.kind, event.kind),
        version=_version(event, tables),
        detail=_detail(event, tables),
    )


def _version(event: Event, tables: Mapping[str, list[Mapping[str, object]]]) -> int | None:
    found = event.payload.get("version")
    for table, key in (
        ("version", "number"),
        ("location", "version"),
        ("tag", "version"),
        ("audit", "version"),
        ("mount", "version"),
        ("finding", "version"),
    ):
        for record in tables.get(table, []):
            found = found if found is not None else record.get(key)
    return found if isinstance(found, int) else None


def _detail(event: Event, tables: Mapping[str, list[Mapping[str, object]]]) -> str:
    """Return what matters of an event in a few words."""
    if event.kind in _MEMBERS:
        return _of(tables, *_MEMBERS[event.kind])
    match event.kind:
        case "audit.recorded":
            clean = "clean" if _of(tables, "audit", "clean") == "True" else "not clean"
            return f"{_of(tables, 'audit', 'level')}, {clean}"
        case "findings.recorded" | "findings.resolved":
            return number(len(tables.get("finding", [])), "finding")
        case "seal.put" | "reclaim.put":
            words = (event.payload.get(name) for name in ("state", "seal", "reclaim", "reason"))
            return ", ".join(str(word) for word in words if word)
        case "mount.put":
            return f"{_of(tables, 'mount', 'state')} {_of(tables, 'mount', 'target')}"
        case _:
            return str(event.payload.get("reason") or "")


def _of(tables: Mapping[str, list[Mapping[str, object]]], table: str, key: str) -> str:
    records = tables.get(table, [])
    return str(records[-1].get(key, "")) if records else ""
