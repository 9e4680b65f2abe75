"""Runs whose process is gone: marked as interrupted by the next command."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.errors import DataguardError, NotFoundError
from dataguard.model.run import RunState
from dataguard.sandbox.processes import is_alive

if TYPE_CHECKING:
    from dataguard.actions.context import Context
    from dataguard.model.run import Run
    from dataguard.stores.rundirectory import RunDirectory

__all__ = ["mark_interrupted"]


def mark_interrupted(ctx: Context) -> tuple[Run, ...]:
    """Mark this host's running runs whose process has gone; their outputs stay.

    Best effort: a catalog that may only be read stays as it is.
    """
    marked = []
    for run in ctx.catalog.runs(state=RunState.RUNNING):
        if is_alive(run.process) is False and _is_unfinished(ctx, run):
            ended = replace(run, state=RunState.INTERRUPTED, finished=ctx.clock())
            if _mark(ctx, ended):
                marked.append(ended)
    return tuple(marked)


def _is_unfinished(ctx: Context, run: Run) -> bool:
    """Look again, now that the process can change nothing more: it may have ended well."""
    return ctx.catalog.run(run.id).state is RunState.RUNNING


def _mark(ctx: Context, run: Run) -> bool:
    from dataguard.actions.runrecord import clear_private  # noqa: PLC0415  every command is here

    try:
        _record(ctx, run)
    except DataguardError:
        return False
    if run.actor.uid == ctx.actor.uid:
        clear_private(run.metadata.get("tmpdir", ""), run.id)
    if ctx.actor.uid == 0:
        _stop_auditing()
    return True


def _stop_auditing() -> None:
    from dataguard.sandbox.auditswitch import switch_off_left  # noqa: PLC0415  as above

    with suppress(OSError):  # the next run that listens tries it again
        switch_off_left()


def _record(ctx: Context, run: Run) -> None:
    """Record the end of a run; in the catalog alone where its directory is gone.

    Raises:
        DataguardError: the catalog or, by another user than the run's, the directory cannot be
            written.
    """
    from dataguard.actions.routing import as_left  # noqa: PLC0415  as above
    from dataguard.actions.rundestination import ENDED, STAGED  # noqa: PLC0415  as above
    from dataguard.actions.runrecord import finish, put, save  # noqa: PLC0415  as above
    from dataguard.stores.rundirectory import RunDirectory  # noqa: PLC0415  as above

    run = as_left(run)
    if ENDED in run.metadata:  # its record beside its files says so since then, and more
        put(ctx, run)
        return
    try:
        with RunDirectory(run.metadata.get(STAGED, run.outputs)) as directory:
            _check_same(run, directory)
            write = finish if run.actor.uid == ctx.actor.uid else save
            write(ctx, run, directory)
    except NotFoundError:
        put(ctx, run)


def _check_same(run: Run, directory: RunDirectory) -> None:
    """Write nothing where another directory is now: a link on the way may lead into gold."""
    if directory.identity != run.metadata.get("directory"):
        raise NotFoundError(f"the run directory {run.outputs} was replaced")
