"""`unmount`: take mounts of a workspace away, leaving nothing behind and foreign ones alone."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.actions.mountproof import report_attempts, state_of
from dataguard.core.mountplan import status
from dataguard.errors import ConflictError, NotFoundError, UsageError
from dataguard.model.mount import Backend, MountState
from dataguard.model.mountpoint import MountStatus
from dataguard.model.reference import Reference
from dataguard.model.results.unmount import UnmountResult
from dataguard.mounts import points
from dataguard.mounts.choose import backend_of
from dataguard.mounts.fuse import FuseBackend
from dataguard.mounts.view import look
from dataguard.stores import workspaces

if TYPE_CHECKING:
    from dataguard.actions.context import Context
    from dataguard.model.mount import MountRecord
    from dataguard.model.mountpoint import TargetView

_MOUNTED = (Backend.BIND, Backend.CAS, Backend.FUSE, Backend.OVERLAY)

__all__ = ["save", "take_down", "unmount"]


def unmount(
    ctx: Context,
    selector: str | None,
    *,
    workspace: str,
    every: bool = False,
    forget: bool = False,
    dry_run: bool = False,
) -> tuple[UnmountResult, ...]:
    """Unmount what a reference or mount name means in a workspace, or with `every` all of it.

    Declaration and lock stay, so that `mount` brings it back, unless `forget` is on.

    Raises:
        ConflictError: a foreign mount lies over ours, or the kernel refuses.
        NotFoundError: nothing of that name is mounted.
        UsageError: neither or both of selector and `every` were given.
    """
    if (selector is None) != every:
        raise UsageError(
            "name what to unmount, or all of it", hint="dataguard unmount NAME, or --all"
        )
    directory = os.path.realpath(workspace)
    with workspaces.locked(directory):
        if forget:
            workspaces.check_files(directory)
        records = ctx.catalog.mounts(workspace=directory, host=ctx.process.host)
        chosen = records if selector is None else _matching(ctx, records, selector)
        results = tuple(_one(ctx, record, dry_run=dry_run) for record in chosen)
        if forget and not dry_run:
            _forget(directory, {record.name for record in chosen})
    return results


def take_down(ctx: Context, record: MountRecord) -> str | None:
    """Remove one mount and its mount point, and record that; returns what stays, in words.

    What is there instead of our mount is left alone.

    Raises:
        ConflictError: a foreign mount lies over ours, or the kernel refuses.
    """
    view = look(record.target)
    if status(record, view, ctx.process.boot_id) is MountStatus.REPLACED:
        _check_not_covered(record, view)
        save(ctx, replace(record, state=MountState.REMOVED))
        return f"{record.target} is not ours any more and stays as it is"
    save(ctx, replace(record, state=MountState.REMOVING))
    backend_of(record.backend, state=state_of(ctx)).undo(record)
    left = _cleared(record)
    report_attempts(ctx, record)
    if record.backend is Backend.FUSE:
        from dataguard.actions.mountfaults import report_faults  # noqa: PLC0415  as below

        report_faults(ctx, record)
        FuseBackend(state_of(ctx)).forget(record.target)
    if record.backend is Backend.CAS:
        from dataguard.actions.cachedtree import release  # noqa: PLC0415  for mounts of a cache

        release(ctx, record)
    save(ctx, replace(record, state=MountState.REMOVED))
    return left


def _cleared(record: MountRecord) -> str | None:
    """Remove the mount point; returns what stays, in words."""
    if record.backend is Backend.CONTAINER:
        return f"{record.target} stays: the container's runtime mounted it"
    return points.clear(os.path.join(record.workspace, workspaces.DATA), record.target)


def save(ctx: Context, record: MountRecord) -> None:
    """Put a mount record into the catalog."""
    with ctx.catalog.transaction() as transaction:
        transaction.put_mount(record)


def _one(ctx: Context, record: MountRecord, *, dry_run: bool) -> UnmountResult:
    now = status(record, look(record.target), ctx.process.boot_id)
    left = None if dry_run else take_down(ctx, record)
    return UnmountResult(
        name=record.name,
        dataset=record.dataset,
        version=record.version,
        target=record.target,
        backend=record.backend,
        status=now,
        left=left,
        dry_run=dry_run,
    )


def _matching(
    ctx: Context, records: tuple[MountRecord, ...], selector: str
) -> tuple[MountRecord, ...]:
    """Return the records with a mount name, else those of a dataset or version."""
    named = tuple(record for record in records if record.name == selector)
    if named:
        return named
    reference = Reference.parse(selector)
    found = tuple(r for r in records if r.dataset == reference.dataset)
    if selector != reference.dataset:
        number = ctx.catalog.resolve(reference).number
        found = tuple(r for r in found if r.version == number)
    if not found:
        raise NotFoundError(
            f"`{selector}` is not mounted here", hint="`dataguard workspace show` lists the mounts"
        )
    return found


def _check_not_covered(record: MountRecord, view: TargetView) -> None:
    below_the_top = {point.mount_id for point in view.stack[:-1]}
    if record.backend in _MOUNTED and record.mount_id in below_the_top:
        raise ConflictError(
            f"a foreign mount lies over ours at {record.target}", hint=f"umount {record.target}"
        )


def _forget(directory: str, names: set[str]) -> None:
    declared = workspaces.read(directory)
    for name in names:
        workspaces.write_declaration(directory, name, None)
    workspaces.write_lock(directory, (e for n, e in declared.lock.items() if n not in names))
