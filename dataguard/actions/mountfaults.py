"""Findings of what a mount could not give: bytes that are gone, replaced, or not the version's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.actions.mountproof import state_of
from dataguard.model.fault import FaultKind
from dataguard.model.finding import Code, Finding
from dataguard.model.mount import is_fetched
from dataguard.mounts.faults import read_faults
from dataguard.mounts.fuse import FuseBackend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.actions.context import Context
    from dataguard.model.fault import Fault
    from dataguard.model.mount import MountRecord

__all__ = ["faults_of", "report_faults"]

_CODES = {
    FaultKind.GONE: Code.DG603,
    FaultKind.REPLACED: Code.DG601,
    FaultKind.WRONG: Code.DG101,
}


def faults_of(ctx: Context, record: MountRecord) -> tuple[Finding, ...]:
    """Return what a mount could not give since it was made: one finding a path and kind.

    Raises:
        DataguardError: the notes of its server cannot be read.
    """
    if not is_fetched(record.backend, record.source):
        return ()
    noted = read_faults(FuseBackend(state_of(ctx)).faults_file(record.target))
    return tuple(_findings(ctx, record, noted))


def report_faults(ctx: Context, record: MountRecord) -> None:
    """Record what a mount could not give as findings.

    Raises:
        DataguardError: the notes of its server cannot be read.
    """
    findings = faults_of(ctx, record)
    if findings:
        with ctx.catalog.transaction() as transaction:
            transaction.record_findings(findings)


def _findings(ctx: Context, record: MountRecord, noted: tuple[Fault, ...]) -> Iterator[Finding]:
    last = {(fault.path, fault.kind): fault for fault in noted}
    first: dict[tuple[bytes, FaultKind], Fault] = {}
    for fault in noted:
        first.setdefault((fault.path, fault.kind), fault)
    for (path, kind), fault in sorted(last.items()):
        code = _CODES[kind]
        yield Finding(
            code=code,
            severity=ctx.policy.severity_of(code),
            path=path,
            message=f"could not be read at {record.target}: {fault.detail}",
            first_seen=first[path, kind].time,
            last_seen=fault.time,
            dataset=record.dataset,
            version=record.version,
            evidence={"source": record.source, "fault": kind.value},
        )
