"""Runs whose process is gone: marked as interrupted by the next command."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.actions.runrecord import save
from dataguard.errors import DataguardError, NotFoundError
from dataguard.model.run import RunState
from dataguard.sandbox.processes import is_alive
from dataguard.stores.rundirectory import RunDirectory, remove_private_directory

if TYPE_CHECKING:
    from dataguard.actions.context import Context
    from dataguard.model.run import Run

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
    try:
        with RunDirectory(run.outputs) as directory:
            save(ctx, run, directory)
    except NotFoundError:
        with ctx.catalog.transaction() as tx:
            tx.put_run(run)
    except DataguardError:
        return False
    if run.actor.uid == ctx.actor.uid:
        remove_private_directory(run.metadata.get("tmpdir", ""), run.id)
    return True
