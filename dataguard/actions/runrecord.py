"""The record of a run: in the catalog and in the run's directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.report.encode import encode

if TYPE_CHECKING:
    from dataguard.actions.context import Context
    from dataguard.model.run import Run
    from dataguard.stores.rundirectory import RunDirectory

__all__ = ["save"]


def save(ctx: Context, record: Run, directory: RunDirectory) -> None:
    """Record how far a run got: in the catalog, then in its directory."""
    with ctx.catalog.transaction() as tx:
        tx.put_run(record)
    directory.write_record({"schema": "dataguard.run-record/1", **encode(record)})
