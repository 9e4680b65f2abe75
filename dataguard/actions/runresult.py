"""What `run` reports: of a job that was not started, and of one that ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.actions.runrecord import inputs_of
from dataguard.model.confinement import Step
from dataguard.model.gate import MountCondition
from dataguard.model.results.run import RunResult

if TYPE_CHECKING:
    from collections.abc import Collection

    from dataguard.actions.inputs import JobInput
    from dataguard.actions.outputs import Outputs
    from dataguard.actions.verification import Verification
    from dataguard.model.finding import Finding
    from dataguard.model.run import Run
    from dataguard.sandbox.launch import Ending

__all__ = ["is_enforced", "over", "refused"]


def refused(
    inputs: tuple[JobInput, ...],
    findings: Collection[Finding] = (),
    before: Verification | None = None,
) -> RunResult:
    """Return the report of a job that was not started."""
    return RunResult(
        run=None,
        allowed=False,
        state="refused",
        exit_code=None,
        outputs_directory=None,
        inputs=inputs_of(inputs, before),
        outputs=(),
        diverted=(),
        findings=findings,
        unreadable=() if before is None else before.unreadable,
        enforced=False,
    )


def over(
    record: Run, changes: Collection[Finding], after: Verification, outputs: Outputs
) -> RunResult:
    """Return the report of a run by its last record; of its confinement nothing stands there."""
    return RunResult(
        run=record.id,
        allowed=True,
        state=str(record.state),
        exit_code=record.exit_code,
        outputs_directory=record.outputs,
        inputs=record.inputs,
        outputs=outputs.files,
        diverted=(),
        findings=changes,
        unreadable=(*after.unreadable, *outputs.unreadable),
        enforced=False,
    )


def is_enforced(inputs: tuple[JobInput, ...], ending: Ending) -> bool:
    """Whether no input could be changed by the path at which the job reads it."""
    mounted = all(one.mount is MountCondition.READ_ONLY for one in inputs)
    return mounted or ending.confinement.step.rank >= Step.MOUNTS.rank
