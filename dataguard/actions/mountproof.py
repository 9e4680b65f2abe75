"""Proving that a mount refuses writes, and the findings where it does not."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.model.finding import Code, Finding
from dataguard.model.mount import Guarantee, MountRecord, ProbeOutcome
from dataguard.mounts.probe import probe

if TYPE_CHECKING:
    from dataguard.actions.context import Context
    from dataguard.model.mount import Probe

__all__ = ["prove"]


def prove(ctx: Context, record: MountRecord) -> tuple[MountRecord, tuple[Finding, ...]]:
    """Probe a mount; returns its record with the probe, and findings where it let writes pass.

    Raises:
        DataguardError: `/proc/self/mountinfo` cannot be read.
    """
    result = probe(record.target, record.backend)
    record = replace(record, probe=result)
    if record.guarantee is not Guarantee.ENFORCED or result.proves_read_only:
        return record, ()
    return record, (_finding(ctx, record, result),)


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
        evidence={"steps": {s.operation: f"{s.result}: {s.detail}" for s in result.steps}},
    )
