"""The record of a run: in the catalog and in the run's directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.model.run import RunState
from dataguard.mounts import mountinfo
from dataguard.report.encode import encode
from dataguard.stores.rundirectory import remove_private_directory

if TYPE_CHECKING:
    from dataguard.actions.context import Context
    from dataguard.model.run import Run
    from dataguard.stores.rundirectory import RunDirectory

__all__ = ["clear_private", "save"]


def save(ctx: Context, record: Run, directory: RunDirectory) -> None:
    """Record how far a run got, in the catalog and in its directory.

    The catalog is the first to know that a run is on its way and the last to know that it is over:
    after a crash in between, the next command finds it there and ends it in both.
    """
    is_over = record.state is not RunState.RUNNING
    fields = {"schema": "dataguard.run-record/1", **encode(record)}
    if is_over:
        directory.write_record(fields)
    with ctx.catalog.transaction() as tx:
        tx.put_run(record)
    if not is_over:
        directory.write_record(fields)


def clear_private(path: str, run_id: str) -> None:
    """Remove a run's private directory, unless the job left a mount in it.

    What is mounted there may be gold: then the directory stays as it is.
    """
    table = mountinfo.read()
    if not (table.at(path) or table.below(path)):
        remove_private_directory(path, run_id)
