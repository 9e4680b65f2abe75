"""Who uses a version now: looked at where this host can, and tidied where it is over."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.core.leases import ended_with_its_boot, mount_lease, run_lease
from dataguard.core.mountplan import status
from dataguard.errors import DataguardError
from dataguard.model.lease import LeaseKind
from dataguard.model.mount import MountState
from dataguard.model.run import RunState
from dataguard.mounts.view import look
from dataguard.sandbox.processes import is_alive

if TYPE_CHECKING:
    from dataguard.actions.context import Context
    from dataguard.catalog.reading import Reader
    from dataguard.model.dataset import Version
    from dataguard.model.lease import Lease
    from dataguard.model.mount import MountRecord
    from dataguard.model.mountpoint import MountStatus
    from dataguard.model.run import Run

__all__ = ["lasts", "leases_of", "tidy", "unjudged"]


def leases_of(ctx: Context, version: Version) -> tuple[Lease, ...]:
    """Return every use of a version that is recorded as going on, mounts first, with its state."""
    mounts = _mounts(ctx.catalog, version)
    runs = _runs(ctx.catalog, version)
    return (
        *(mount_lease(one, _found(ctx, one), ctx.process) for one in mounts),
        *(_of_run(ctx, one, version, alive=is_alive(one.process)) for one in runs),
    )


def unjudged(ctx: Context, records: Reader, version: Version) -> tuple[Lease, ...]:
    """Return the same uses without a look at any: inside a transaction nothing may take long."""
    return (
        *(mount_lease(one, None, ctx.process) for one in _mounts(records, version)),
        *(_of_run(ctx, one, version, alive=None) for one in _runs(records, version)),
    )


def lasts(ctx: Context, subject: str) -> bool:
    """Whether a lease named `mount:TARGET` or `run:ID` goes on, or cannot be told not to."""
    kind, _, which = subject.partition(":")
    if kind == LeaseKind.MOUNT:
        mounts = [one for one in ctx.catalog.mounts(host=ctx.process.host) if one.target == which]
        return any(mount_lease(one, _found(ctx, one), ctx.process).holds for one in mounts)
    if kind == LeaseKind.RUN:
        runs = [one for one in ctx.catalog.runs(state=RunState.RUNNING) if one.id == which]
        return any(is_alive(one.process) is not False for one in runs)
    return True


def tidy(ctx: Context, version: Version) -> None:
    """Record that mounts are gone whose host was started again since; runs are ended elsewhere.

    Best effort: a catalog that may only be read stays as it is.
    """
    gone = [one for one in _mounts(ctx.catalog, version) if ended_with_its_boot(one, ctx.process)]
    for record in gone:
        try:
            _forget(ctx, record)
        except DataguardError:
            return


def _forget(ctx: Context, record: MountRecord) -> None:
    """Record one as removed, unless somebody mounted there again since it was looked up."""
    with ctx.catalog.transaction() as tx:
        if record in tx.mounts(workspace=record.workspace, host=record.host):
            tx.put_mount(replace(record, state=MountState.REMOVED))


def _mounts(records: Reader, version: Version) -> tuple[MountRecord, ...]:
    return records.mounts(dataset=version.dataset, version=version.number)


def _runs(records: Reader, version: Version) -> tuple[Run, ...]:
    return records.runs(state=RunState.RUNNING, dataset=version.dataset, version=version.number)


def _of_run(ctx: Context, run: Run, version: Version, *, alive: bool | None) -> Lease:
    return run_lease(run, version, alive=alive, here=ctx.process)


def _found(ctx: Context, record: MountRecord) -> MountStatus | None:
    """Return what a record is worth; None for another host's, or where nobody can look."""
    if record.host != ctx.process.host:
        return None
    try:
        return status(record, look(record.target), ctx.process.boot_id)
    except (DataguardError, OSError):
        return None
