"""The record of a run: in the catalog and in the run's directory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.actions.gate import decide_again
from dataguard.actions.routing import with_layers
from dataguard.errors import StoreUnreachableError
from dataguard.model.attempt import Observable
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.model.run import RunInput, RunState
from dataguard.mounts import mountinfo
from dataguard.report.encode import encode
from dataguard.stores.rundirectory import RECORD, remove_private_directory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dataguard.actions.context import Context
    from dataguard.actions.inputs import JobInput
    from dataguard.actions.verification import Verification
    from dataguard.model.attempt import Attempts
    from dataguard.model.confinement import Confinement
    from dataguard.model.diversion import Diverted
    from dataguard.model.gate import GateResult
    from dataguard.model.run import Run
    from dataguard.stores.rundirectory import RunDirectory

__all__ = [
    "admit",
    "clear_private",
    "confined",
    "finish",
    "free_record",
    "inputs_of",
    "keep",
    "last_record",
    "not_started",
    "put",
    "record_fields",
    "save",
    "watched",
    "writes_of",
]

_NOT_STARTED = 125


def admit(ctx: Context, record: Run, directory: RunDirectory, decision: GateResult) -> GateResult:
    """Record a run that begins, if its gate still allows it; returns what was decided last.

    From here on it holds a lease on its inputs. Decision and record are one transaction: a version
    that is withdrawn at the same time is either seen here, or this run is seen there. One that may
    not begin leaves no directory.

    Raises:
        DataguardError: the catalog cannot be written now.
        StoreUnreachableError: the directory cannot be written; the run has failed.
    """
    again = None
    try:
        with ctx.catalog.transaction() as tx:
            again = decide_again(ctx, tx, decision)
            if again.allowed:
                tx.put_run(record)
    finally:
        if again is None or not again.allowed:
            directory.remove()
    if again.allowed:
        try:
            directory.write_record(record_fields(record))
        except StoreUnreachableError:
            put(ctx, not_started(ctx, record))
            raise
    return again


def not_started(ctx: Context, record: Run) -> Run:
    """Return the record of a run whose job was not started after all."""
    ended = replace(record, state=RunState.FAILED, finished=ctx.clock(), exit_code=_NOT_STARTED)
    return with_layers(ended, None)


def save(
    ctx: Context,
    record: Run,
    directory: RunDirectory,
    diverted: tuple[Diverted, ...] = (),
    attempts: Attempts | None = None,
) -> None:
    """Record how far a run got, in the catalog and in its directory; the last two there alone.

    The catalog is the first to know that a run is on its way and the last to know that it is over:
    after a crash in between, the next command finds it there and ends it in both.

    Raises:
        StoreUnreachableError: the directory cannot be written; the catalog of one that is over
            does not know of it then.
    """
    is_over = record.state is not RunState.RUNNING
    if is_over:
        directory.write_record(last_record(record, diverted, attempts))
    put(ctx, record)
    if not is_over:
        directory.write_record(record_fields(record))


def finish(
    ctx: Context,
    record: Run,
    directory: RunDirectory,
    diverted: tuple[Diverted, ...] = (),
    attempts: Attempts | None = None,
) -> tuple[Unreadable, ...]:
    """Record the end of a run; what a job did to its own directory does not prevent that.

    The record in the directory lists each diverted write, that in the catalog has their number.
    Returns what could not be written there.
    """
    unwritten = keep(directory, last_record(record, diverted, attempts))
    put(ctx, record)
    return unwritten


def keep(directory: RunDirectory, fields: Mapping[str, object]) -> tuple[Unreadable, ...]:
    """Write the record in a run's directory; returns it where it could not be written there."""
    try:
        directory.write_record(fields)
    except StoreUnreachableError as err:
        return (Unreadable(RECORD.encode(), Obstacle.DENIED, err.message),)
    return ()


def free_record(record: Run, directory: RunDirectory) -> str | None:
    """Give what a job wrote in place of its run's record another name, and return that.

    Where that is not possible, writing the record fails too, and is said then.
    """
    try:
        return directory.set_aside(record_fields(record))
    except StoreUnreachableError:
        return None


def put(ctx: Context, record: Run) -> None:
    """Record how far a run got in the catalog alone."""
    with ctx.catalog.transaction() as tx:
        tx.put_run(record)


def confined(record: Run, confinement: Confinement) -> Run:
    """Return the record with what confined the job."""
    layers = ", ".join(layer.name for layer in confinement.layers if layer.holds)
    told = {"confinement": str(confinement.step), "layers": layers or "none"}
    return replace(record, metadata={**record.metadata, **told})


def watched(record: Run, attempts: Attempts) -> Run:
    """Return the record with what is known of refused writes, in numbers."""
    lost = "unknown" if attempts.lost is None else str(attempts.lost)
    told = f"observable: {attempts.observable}, seen: {attempts.seen}, lost: {lost}"
    if attempts.observable is Observable.NO:
        told = f"not observable: {attempts.reason}"
    return replace(record, metadata={**record.metadata, "attempts": told})


def inputs_of(inputs: tuple[JobInput, ...], before: Verification | None) -> tuple[RunInput, ...]:
    """Return what the record says of a run's inputs; nothing is known yet of their state after."""
    return tuple(
        RunInput(
            dataset=one.version.dataset,
            version=one.version.number,
            root=str(one.version.root),
            location=one.location.place,
            name=one.name,
            before=(
                before.word(one.version.dataset, one.version.number) if before else "not checked"
            ),
            after="not checked",
        )
        for one in inputs
        if one.version is not None and one.location is not None
    )


def record_fields(record: Run) -> dict[str, object]:
    """Return what stands in the record of a run that is on its way."""
    return {"schema": "dataguard.run-record/1", **encode(record)}


def last_record(
    record: Run, diverted: tuple[Diverted, ...], attempts: Attempts | None
) -> dict[str, object]:
    """Return what stands in the record of a run that is over."""
    return {**record_fields(record), **writes_of(diverted, attempts)}


def writes_of(
    diverted: tuple[Diverted, ...] = (), attempts: Attempts | None = None
) -> dict[str, object]:
    """Return what the last record of a run says of where else its job wrote, and tried to."""
    return {"diverted": encode(diverted), "attempts": encode(attempts)}


def clear_private(path: str, run_id: str) -> None:
    """Remove a run's private directory, unless the job left a mount in it.

    What is mounted there may be gold: then the directory stays as it is.
    """
    table = mountinfo.read()
    if not (table.at(path) or table.below(path)):
        remove_private_directory(path, run_id)
