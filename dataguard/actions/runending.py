"""The end of a run: its inputs verified again, its outputs gathered, its last record and report."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.actions.outputs import collect_outputs
from dataguard.actions.recording import record_comparison, record_findings
from dataguard.actions.routing import clear, digested, reap, reported, with_layers
from dataguard.actions.rundestination import CLAIM
from dataguard.actions.runrecord import confined, finish, free_record, watched, writes_of
from dataguard.actions.runresult import is_enforced, over
from dataguard.actions.verification import Verification, changes_between, verify
from dataguard.model.dataclass import dataclass
from dataguard.model.run import RunState

if TYPE_CHECKING:
    from dataguard.actions.context import Context
    from dataguard.actions.diversion import Routing
    from dataguard.actions.inputs import JobInput
    from dataguard.actions.outputs import Outputs
    from dataguard.model.attempt import Attempts
    from dataguard.model.diversion import Diverted
    from dataguard.model.entry import Unreadable
    from dataguard.model.finding import Finding
    from dataguard.model.results.run import RunResult
    from dataguard.model.run import Run
    from dataguard.sandbox.launch import Ending
    from dataguard.stores.rundirectory import RunDirectory
    from dataguard.stores.sightings import Sightings

__all__ = ["Ended", "end"]


@dataclass(frozen=True, slots=True)
class Ended:
    """A job that ended: how it was confined and routed, and what was refused to it."""

    inputs: tuple[JobInput, ...]
    before: Verification
    directory: RunDirectory
    ending: Ending
    routing: Routing | None
    attempts: Attempts
    blocked: tuple[Finding, ...]


def end(ctx: Context, started: Run, ended: Ended) -> RunResult:
    """Verify the inputs of a job again, gather what it wrote, and record how it ended."""
    record = watched(confined(started, ended.ending.confinement), ended.attempts)
    after, changes = _verified_again(ctx, ended)
    aside = free_record(started, ended.directory)
    reaped = reap(ended.directory, ended.routing, aside)
    record = with_layers(record, reaped.left)
    with ctx.manifests.in_use():
        is_remote = CLAIM in record.metadata
        outputs = collect_outputs(ctx, ended.directory, stays=not is_remote)
        diverted = digested(reaped.diverted, outputs.files)
        state = _state(ended, tainted=bool(changes.violations) or not after.is_complete)
        finished = _with_outputs(_with_inputs(record, after), outputs)
        finished = replace(
            finished, state=state, finished=ctx.clock(), exit_code=ended.ending.exit_code or 0
        )
        for finding in (*reported(ctx, diverted, started.id), *ended.blocked):
            changes.add_late(finding)
        record_findings(ctx, changes)
        if is_remote:
            finished, outputs, unwritten = _delivered(ctx, finished, ended, outputs, diverted)
        else:
            unwritten = finish(ctx, finished, ended.directory, diverted, ended.attempts)
    clear(ended.routing, reaped)
    result = over(finished, changes, after, outputs)
    return replace(
        result,
        enforced=is_enforced(ended.inputs, ended.ending),
        confinement=ended.ending.confinement,
        diverted=diverted,
        attempts=ended.attempts,
        unreadable=(*result.unreadable, *reaped.unreadable, *unwritten),
    )


def _delivered(
    ctx: Context, record: Run, ended: Ended, outputs: Outputs, diverted: tuple[Diverted, ...]
) -> tuple[Run, Outputs, tuple[Unreadable, ...]]:
    from dataguard.actions.runupload import deliver  # noqa: PLC0415  for buckets alone

    writes = writes_of(diverted, ended.attempts)
    done = deliver(ctx, record, ended.directory, outputs, writes)
    return done.record, done.outputs, done.gaps


def _verified_again(ctx: Context, ended: Ended) -> tuple[Verification, Sightings]:
    """Return how the inputs are after a job, and what of that was not so before it."""
    after = verify(ctx, ended.inputs, what="verifying inputs again")
    changes = changes_between(ctx, ended.before, after)
    # what is wrong with a copy in the cache says nothing of the dataset where it lies
    cached = {one.version.reference for one in ended.inputs if one.cache and one.version}
    for comparison in after.comparisons:
        if not comparison.is_clean and comparison.version.reference not in cached:
            record_comparison(ctx, comparison)
    return after, changes


def _with_inputs(record: Run, after: Verification) -> Run:
    """Return the record with how its inputs are after the job."""
    inputs = (replace(one, after=after.word(one.dataset, one.version)) for one in record.inputs)
    return replace(record, inputs=tuple(inputs))


def _with_outputs(record: Run, outputs: Outputs) -> Run:
    """Return the record with what the job made, in numbers."""
    return replace(
        record,
        output_root=None if outputs.root is None else str(outputs.root),
        output_files=len(outputs.files),
        output_bytes=sum(one.size for one in outputs.files),
    )


def _state(ended: Ended, *, tainted: bool) -> RunState:
    if tainted:
        return RunState.TAINTED
    return RunState.FAILED if ended.ending.exit_code else RunState.COMPLETE
