"""Proving that a mount refuses writes; findings where it does not, and of whom it refused."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.core.attempts import blocked
from dataguard.model.finding import Code, Finding
from dataguard.model.mount import Backend, Guarantee, MountRecord, ProbeOutcome
from dataguard.mounts.attempts import probing
from dataguard.mounts.fuse import FuseBackend
from dataguard.mounts.probe import probe

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from dataguard.actions.context import Context
    from dataguard.model.attempt import Attempt
    from dataguard.model.mount import Probe

__all__ = ["prove", "report_attempts", "state_of"]


def prove(ctx: Context, record: MountRecord) -> tuple[MountRecord, tuple[Finding, ...]]:
    """Probe a mount; returns its record with the probe, and findings where it let writes pass.

    Raises:
        DataguardError: `/proc/self/mountinfo` cannot be read.
    """
    with _as_probe(ctx, record):
        result = probe(record.target, record.backend)
    record = replace(record, probe=result)
    if record.guarantee is not Guarantee.ENFORCED or result.proves_read_only:
        return record, ()
    return record, (_finding(ctx, record, result),)


def state_of(ctx: Context) -> str:
    """Return where servers of mounts keep their files."""
    return os.path.join(ctx.settings.home.value, "state")


def report_attempts(ctx: Context, record: MountRecord) -> None:
    """Record the writes that a served mount refused as findings, one a path, and none twice.

    Raises:
        DataguardError: they cannot be read.
    """
    if record.backend is not Backend.FUSE:
        return
    by_path: dict[bytes, list[Attempt]] = {}
    for attempt in FuseBackend(state_of(ctx)).take_attempts(record.target):
        by_path.setdefault(attempt.path, []).append(attempt)
    if by_path:
        findings = [_blocked(ctx, record, path, made) for path, made in sorted(by_path.items())]
        with ctx.catalog.transaction() as transaction:
            transaction.record_findings(findings)


def _as_probe(ctx: Context, record: MountRecord) -> AbstractContextManager[None]:
    """Keep what the probe attempts from being taken for a job's doing."""
    if record.backend is not Backend.FUSE:
        return nullcontext()
    return probing(FuseBackend(state_of(ctx)).attempts_file(record.target), os.getpid())


def _blocked(ctx: Context, record: MountRecord, path: bytes, made: list[Attempt]) -> Finding:
    severity = ctx.policy.severity_of(Code.DG302)
    where = f" at {record.target}"
    return blocked(
        path, made, severity, dataset=record.dataset, version=record.version, where=where
    )


def _finding(ctx: Context, record: MountRecord, result: Probe) -> Finding:
    passed = [s.operation for s in result.steps if s.result is ProbeOutcome.ALLOWED]
    failed = [s.operation for s in result.steps if s.result is ProbeOutcome.FAILED]
    code = Code.DG402 if passed else Code.DG403
    now = ctx.clock()
    return Finding(
        code=code,
        severity=ctx.policy.severity_of(code),
        path=os.fsencode(record.target),
        message=f"{code.title} at {record.target}: {', '.join(passed or failed)}",
        first_seen=now,
        last_seen=now,
        dataset=record.dataset,
        version=record.version,
        evidence={
            "host": record.host,
            "steps": {s.operation: f"{s.result}: {s.detail}" for s in result.steps},
        },
    )
