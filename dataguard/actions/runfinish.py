"""`run --finish`: upload what an interrupted run left on this host, and record how it ended."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.actions.gate import check_gate
from dataguard.actions.outputs import collect_outputs
from dataguard.actions.rundestination import ENDED, STAGED
from dataguard.actions.runrecord import writes_of
from dataguard.actions.runupload import deliver, is_remote
from dataguard.errors import ConflictError
from dataguard.model.results.run import RunResult
from dataguard.model.run import RunState
from dataguard.stores.rundirectory import RunDirectory

if TYPE_CHECKING:
    from dataguard.actions.context import Context
    from dataguard.actions.outputs import Outputs
    from dataguard.actions.runupload import Delivered
    from dataguard.model.run import Run

__all__ = ["finish_run"]


def finish_run(ctx: Context, run_id: str) -> RunResult:
    """Go on with the upload of a run; one whose job was killed stays interrupted.

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
    with RunDirectory(run.metadata[STAGED]) as directory, ctx.manifests.in_use():
        if not directory.alone():
            raise ConflictError(f"another command goes on with run {run.id}")
        if directory.identity != run.metadata.get("directory"):
            raise ConflictError(f"the directory {directory.path} was replaced")
        outputs = collect_outputs(ctx, directory, stays=False)
        writes = _writes(run, directory)
        done = deliver(ctx, _as_ended(ctx, run, outputs), directory, outputs, writes)
    return _result(done)


def _check_waits(ctx: Context, run: Run) -> None:
    """Refuse a run of which nothing is to be uploaded here and now.

    Raises:
        ConflictError: it is such a one.
    """
    if not is_remote(run) or STAGED not in run.metadata:
        raise ConflictError(
            f"no outputs of run {run.id} wait to be uploaded", hint=f"dataguard lineage {run.id}"
        )
    if run.process.host != ctx.process.host:
        raise ConflictError(f"the outputs of run {run.id} wait on {run.process.host}")
    if run.state is RunState.RUNNING:
        raise ConflictError(f"run {run.id} is on its way", hint=f"dataguard lineage {run.id}")


def _writes(run: Run, directory: RunDirectory) -> dict[str, object]:
    """Return what is known of where else a job wrote: nothing, where it was killed.

    Raises:
        ConflictError: the record that says so is not there any more.
    """
    unknown = writes_of()
    if ENDED not in run.metadata:
        return unknown
    record = directory.read_record()
    return {name: record.get(name, value) for name, value in unknown.items()}


def _as_ended(ctx: Context, run: Run, outputs: Outputs) -> Run:
    """Return the record of a run as its job left it, with the outputs that are there.

    Raises:
        ConflictError: they are not those that its job left.
    """
    root = None if outputs.root is None else str(outputs.root)
    state = run.metadata.get(ENDED)
    if state is not None and run.output_root not in (None, root):
        raise ConflictError(
            f"the outputs of run {run.id} changed since its job ended",
            hint=f"look at {run.metadata[STAGED]}",
        )
    return replace(
        run,
        state=RunState.INTERRUPTED if state is None else RunState(state),
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
