"""A run's place in a bucket: claimed, filled when its job ended, gone on with after a crash.

The catalog is told before the bucket is. A run whose command is killed while it uploads is found
interrupted by the next one, with its files where they were written; `run --finish ID` goes on.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.actions.objectoutputs import encoded, objects_of_run, upload, upload_manifest
from dataguard.actions.rundestination import CLAIM, ENDED, STAGED
from dataguard.actions.runrecord import keep, last_record, put, record_fields
from dataguard.errors import DataguardError
from dataguard.model.dataclass import dataclass
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.model.run import RunState
from dataguard.report.encode import encode
from dataguard.stores.runobjects import told

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dataguard.actions.context import Context
    from dataguard.actions.outputs import Outputs
    from dataguard.model.run import Run
    from dataguard.stores.rundirectory import RunDirectory

__all__ = ["Delivered", "claim", "deliver", "give_up", "is_remote"]


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of a run's outputs: its last record, its files with where they are, and gaps."""

    record: Run
    outputs: Outputs
    gaps: tuple[Unreadable, ...] = ()


def is_remote(run: Run) -> bool:
    """Whether the outputs of a run are, or go, to a bucket."""
    return CLAIM in run.metadata


def claim(ctx: Context, run: Run) -> None:
    """Write the record of a run that begins to its place in the bucket.

    Raises:
        ConflictError: there is something already.
        DeniedError: these credentials may not list or write there.
        StoreUnreachableError: the server does not answer.
    """
    with objects_of_run(ctx, run.outputs, run.metadata[CLAIM], _algorithm(ctx)) as objects:
        objects.claim(encoded(record_fields(run)))


def give_up(ctx: Context, run: Run, directory: RunDirectory) -> None:
    """Say in the bucket that the job was not started, where that can be said; keep no files."""
    directory.clear()
    with (
        suppress(DataguardError),  # why the job was not started is what is told
        objects_of_run(ctx, run.outputs, run.metadata[CLAIM], _algorithm(ctx)) as objects,
    ):
        objects.go_on(encoded(record_fields(run)))
        objects.finish(encoded(last_record(run, (), None)))


def deliver(
    ctx: Context,
    run: Run,
    directory: RunDirectory,
    outputs: Outputs,
    writes: Mapping[str, object],
) -> Delivered:
    """Upload the outputs of a run whose job ended, then its last record; then record it here.

    Where that fails the files stay where they are, and so does the word `running` in the bucket.
    So do the `writes` of the job, in the record beside its files: nobody else knows of them then.
    """
    run = replace(run, metadata={**run.metadata, ENDED: str(run.state)})
    stopped = replace(run, state=RunState.INTERRUPTED)
    unwritten = keep(directory, {**record_fields(stopped), **writes})
    put(ctx, replace(stopped, state=RunState.RUNNING))
    try:
        done = _uploaded(ctx, run, directory, outputs, writes)
    except DataguardError as err:
        put(ctx, stopped)
        said = f"not uploaded: {err.message}; kept in {directory.path}: "
        gap = Unreadable(b"", Obstacle.ABSENT, f"{said}dataguard run --finish {run.id}")
        return Delivered(stopped, outputs, (gap, *unwritten))
    put(ctx, done.record)
    if STAGED not in done.record.metadata:
        directory.clear()
    return done


def _uploaded(
    ctx: Context,
    run: Run,
    directory: RunDirectory,
    outputs: Outputs,
    writes: Mapping[str, object],
) -> Delivered:
    done_with = () if outputs.unreadable else (STAGED, ENDED)  # what was not read is there alone
    words = {name: value for name, value in run.metadata.items() if name not in done_with}
    with objects_of_run(ctx, run.outputs, run.metadata[CLAIM], _algorithm(ctx)) as objects:
        going = replace(run, state=RunState.RUNNING, finished=None)
        objects.go_on(encoded(record_fields(going)))
        done = upload(objects, directory, outputs, run.outputs)
        if outputs.root is not None:
            upload_manifest(objects, outputs, ctx.manifests.manifest_path(outputs.root))
        record = replace(run, metadata={**words, **told(objects.terms)})
        said = {**record_fields(record), **writes, "files": encode(done.files)}
        objects.finish(encoded(said))
    return Delivered(record, done)


def _algorithm(ctx: Context) -> str:
    return ctx.settings.digest.value
