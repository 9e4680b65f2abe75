"""`run --finish`: take over and upload what an interrupted run left here, and record its end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.actions.gate import check_gate
from dataguard.actions.leftlayers import diverted_of, has_layers, left_routing
from dataguard.actions.outputs import collect_outputs
from dataguard.actions.recording import record_findings
from dataguard.actions.routing import clear, digested, reap, reported, with_layers
from dataguard.actions.rundestination import ENDED, STAGED
from dataguard.actions.runrecord import keep, put, record_fields, writes_of
from dataguard.actions.runupload import Delivered, deliver, is_remote
from dataguard.errors import ConflictError
from dataguard.model.results.run import RunResult
from dataguard.model.run import RunState
from dataguard.report.encode import encode
from dataguard.stores.rundirectory import RunDirectory

if TYPE_CHECKING:
    from dataguard.actions.context import Context
    from dataguard.actions.outputs import Outputs
    from dataguard.model.run import Run

__all__ = ["finish_run"]


def finish_run(ctx: Context, run_id: str) -> RunResult:
    """Take over what a run diverted, and go on with its upload; a killed one stays interrupted.

    Raises:
        ConflictError: nothing of it waits on this host, it is on its way, or its files or the
            record beside them changed since its job ended.
        NotFoundError: there is no such run, or its files are gone.
    """
    run = ctx.catalog.run(run_id)
    _check_waits(ctx, run)
    decision = check_gate(ctx, (), (run.outputs,))
    if not decision.allowed:
        raise ConflictError(
            f"{run.outputs} is no place for outputs any more", hint="dataguard policy explain PLACE"
        )
    with (
        RunDirectory(run.metadata.get(STAGED, run.outputs)) as directory,
        ctx.manifests.in_use(),
    ):
        if not directory.alone():
            raise ConflictError(f"another command goes on with run {run.id}")
        if directory.identity != run.metadata.get("directory"):
            raise ConflictError(f"the directory {directory.path} was replaced")
        return _finished(ctx, run, directory)


def _finished(ctx: Context, run: Run, directory: RunDirectory) -> RunResult:
    writes = _writes(run, directory)
    routing = left_routing(ctx, run)
    reaped = reap(directory, routing, None)
    outputs = collect_outputs(ctx, directory, stays=False)
    found = digested(reaped.diverted, outputs.files)
    diverted = (*diverted_of(writes), *found)
    ended = with_layers(_as_ended(ctx, run, outputs, grown=bool(found)), reaped.left)
    findings = tuple(reported(ctx, found, run.id))
    record_findings(ctx, findings)
    writes["diverted"] = encode(diverted)
    if is_remote(run):
        done = deliver(ctx, ended, directory, outputs, writes)
    else:
        gaps = keep(directory, {**record_fields(ended), **writes})
        put(ctx, ended)
        done = Delivered(ended, outputs, gaps)
    clear(routing, reaped)
    result = _result(done)
    gaps = (*result.unreadable, *reaped.unreadable)
    return replace(result, diverted=diverted, findings=findings, unreadable=gaps)


def _check_waits(ctx: Context, run: Run) -> None:
    """Refuse a run of which nothing is to be taken over or uploaded here and now.

    Raises:
        ConflictError: it is such a one.
    """
    if not (is_remote(run) and STAGED in run.metadata) and not has_layers(run):
        raise ConflictError(
            f"nothing of run {run.id} waits here to be uploaded or taken over",
            hint=f"dataguard lineage {run.id}",
        )
    if run.process.host != ctx.process.host:
        raise ConflictError(f"the outputs of run {run.id} wait on {run.process.host}")
    if run.state is RunState.RUNNING:
        raise ConflictError(f"run {run.id} is on its way", hint=f"dataguard lineage {run.id}")


def _writes(run: Run, directory: RunDirectory) -> dict[str, object]:
    """Return what is known of where else a job wrote: nothing, where one for a bucket was killed.

    Raises:
        ConflictError: the record that says so is not there any more.
    """
    unknown = writes_of()
    if is_remote(run) and ENDED not in run.metadata:
        return unknown
    record = directory.read_record()
    return {name: record.get(name, value) for name, value in unknown.items()}


def _as_ended(ctx: Context, run: Run, outputs: Outputs, *, grown: bool) -> Run:
    """Return the record of a run as its job left it, with the outputs that are there.

    Those that its job left, where these are known and none has `grown` by what it diverted.

    Raises:
        ConflictError: they are not those.
    """
    root = None if outputs.root is None else str(outputs.root)
    state = run.metadata.get(ENDED)
    if state is not None and not grown and run.output_root not in (None, root):
        raise ConflictError(
            f"the outputs of run {run.id} changed since its job ended",
            hint=f"look at {run.metadata[STAGED]}",
        )
    if state is None:
        state = RunState.INTERRUPTED if is_remote(run) else run.state
    return replace(
        run,
        state=RunState(state),
        finished=run.finished or ctx.clock(),
        output_root=root,
        output_files=len(outputs.files),
        output_bytes=sum(one.size for one in outputs.files),
    )


def _result(done: Delivered) -> RunResult:
    run = done.record
    return RunResult(
        run=run.id,
        allowed=True,
        state=str(run.state),
        exit_code=run.exit_code,
        outputs_directory=run.outputs,
        inputs=run.inputs,
        outputs=done.outputs.files,
        diverted=(),
        findings=(),
        unreadable=(*done.outputs.unreadable, *done.gaps),
        enforced=False,
    )
