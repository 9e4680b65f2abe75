"""`workspace init`, `show`, `list` and `remove`: directories where somebody works."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dataguard.actions.unmount import unmount
from dataguard.core.mountplan import status
from dataguard.core.objectoutputs import all_names
from dataguard.core.paths import is_inside
from dataguard.errors import ConflictError, NotFoundError, UsageError
from dataguard.model.workspace import InitResult, MountView, WorkspaceRecord, WorkspaceView
from dataguard.mounts.holding import holder
from dataguard.mounts.view import look
from dataguard.stores import workspaces

if TYPE_CHECKING:
    from dataguard.actions.context import Context
    from dataguard.model.results.unmount import UnmountResult
    from dataguard.model.workspace import Workspace

__all__ = ["enrol", "init", "listed", "remove", "show"]


def init(ctx: Context, directory: str, outputs: str, *, dry_run: bool = False) -> InitResult:
    """Make a directory a workspace, keeping what is in it; the same again is fine.

    A relative outputs place is relative to the directory.

    Raises:
        ConfigurationError: there is a declaration that makes no sense.
        ConflictError: workspace or outputs would lie inside gold or in another workspace's data,
            the workspace has other outputs already, or something is in the way.
        UsageError: the outputs place makes no sense.
    """
    directory = os.path.realpath(directory)
    place = workspaces.outputs_place(directory, outputs)
    _check_places(ctx, directory, place)
    existed = workspaces.declaration_exists(directory)
    if existed:
        _check_same_outputs(workspaces.read(directory), place)
    record = _record(ctx, directory, place)
    if not dry_run:
        _make_directories(record)
        with workspaces.locked(directory):
            if workspaces.declaration_exists(directory):  # another `init` may have been faster
                _check_same_outputs(workspaces.read(directory), place)
            else:
                workspaces.write_outputs(directory, outputs)
            _put(ctx, record)
    return InitResult(record, created=not existed, dry_run=dry_run)


def show(ctx: Context, directory: str) -> WorkspaceView:
    """Return a workspace, its mounts on this host and what these are worth now.

    Raises:
        ConfigurationError: a workspace file makes no sense.
        NotFoundError: the directory is no workspace.
    """
    workspace = workspaces.read(directory)
    records = ctx.catalog.mounts(workspace=workspace.directory, host=ctx.process.host)
    boot_id = ctx.process.boot_id
    mounts = tuple(MountView(r, status(r, look(r.target), boot_id)) for r in records)
    return WorkspaceView(workspace, mounts, known=_find(ctx, workspace.directory) is not None)


def listed(ctx: Context) -> tuple[WorkspaceRecord, ...]:
    """Return the workspaces that the catalog knows, on all hosts."""
    return ctx.catalog.workspaces()


def remove(ctx: Context, directory: str, *, dry_run: bool = False) -> tuple[UnmountResult, ...]:
    """Unmount everything and forget the workspace; its files and outputs stay.

    Raises:
        ConflictError: a mount cannot be taken down.
        NotFoundError: the directory is no workspace and the catalog knows none there.
    """
    directory = os.path.realpath(directory)
    known = _find(ctx, directory) is not None
    if not known and not workspaces.declaration_exists(directory):
        raise NotFoundError(
            f"no workspace in {directory}", hint="`dataguard workspace list` shows all"
        )
    results = unmount(ctx, None, workspace=directory, every=True, dry_run=dry_run)
    if known and not dry_run:
        with ctx.catalog.transaction() as transaction:
            transaction.remove_workspace(directory, ctx.process.host)
    return results


def enrol(ctx: Context, workspace: Workspace) -> None:
    """Make a workspace known that came with its files, from git for example, and its places.

    The caller holds the workspace's lock.

    Raises:
        ConflictError: it or its outputs lie inside gold or in another workspace's data.
        UsageError: its outputs lie in its own data.
    """
    known = _find(ctx, workspace.directory)
    if known is None or known.outputs != workspace.outputs:
        _check_places(ctx, workspace.directory, workspace.outputs)
        record = _record(ctx, workspace.directory, workspace.outputs)
        _make_directories(record)
        _put(ctx, record)


def _record(ctx: Context, directory: str, place: str) -> WorkspaceRecord:
    return WorkspaceRecord(directory, place, ctx.process.host, ctx.clock(), ctx.actor)


def _find(ctx: Context, directory: str) -> WorkspaceRecord | None:
    key = (directory, ctx.process.host)
    return next((w for w in ctx.catalog.workspaces() if (w.directory, w.host) == key), None)


def _make_directories(record: WorkspaceRecord) -> None:
    _make_directory(os.path.join(record.directory, workspaces.DATA))
    if "://" not in record.outputs:
        _make_directory(record.outputs)


def _put(ctx: Context, record: WorkspaceRecord) -> None:
    known = _find(ctx, record.directory)
    if known is None or known.outputs != record.outputs:
        with ctx.catalog.transaction() as transaction:
            transaction.put_workspace(record)


def _make_directory(place: str) -> None:
    try:
        os.makedirs(place, exist_ok=True)
    except OSError as err:
        raise ConflictError(
            f"cannot create {place}: {err.strerror}", hint=f"ls -ld {place}"
        ) from err
    if os.path.realpath(place) != place:
        raise ConflictError(f"{place} is a link", hint=f"ls -ld {place}")


def _check_same_outputs(workspace: Workspace, place: str) -> None:
    if workspace.outputs != place:
        raise ConflictError(
            f"the workspace has outputs {workspace.outputs}, not {place}",
            hint=f"change it in {os.path.join(workspace.directory, workspaces.DECLARATION)}",
        )


def _check_places(ctx: Context, directory: str, place: str) -> None:
    """Refuse a workspace or outputs inside gold or in a `data/` where mounts appear."""
    if "://" in place:
        _check_objects(ctx, place)
    gold = [one.place for one in ctx.catalog.active_locations() if "://" not in one.place]
    data = [
        os.path.join(workspace.directory, workspaces.DATA)
        for workspace in ctx.catalog.workspaces()
        if workspace.host == ctx.process.host and workspace.directory != directory
    ]
    local = () if "://" in place else (("the outputs place", place),)
    for what, path in (("the workspace", directory), *local):
        _check_outside(what, path, "gold", gold)
        _check_outside(
            what, path, "the data of a workspace", [*data, *_data_above(path, directory)]
        )
    own = os.path.join(directory, workspaces.DATA)
    if local and holder(place, [own]) is not None:
        raise UsageError(
            f"the outputs place {place} is inside {own}, where mounts appear",
            hint="--outputs /scratch/out",
        )


def _check_objects(ctx: Context, place: str) -> None:
    """Refuse outputs inside gold by any name of their bucket, the place of their runs included."""
    areas = [one.place for one in ctx.catalog.active_locations() if "://" in one.place]
    gold = [name for one in areas for name in all_names(one)]
    names = (*all_names(place), *all_names(f"{place}/runs"))
    found = next((one for one in gold if any(is_inside(name, one) for name in names)), None)
    if found is not None:
        raise ConflictError(
            f"the outputs place {place} is inside gold: {found}",
            hint="choose a place outside of it",
        )


def _check_outside(what: str, path: str, role: str, directories: list[str]) -> None:
    found = holder(path, directories)
    if found is not None:
        raise ConflictError(
            f"{what} {path} is inside {role}: {found}", hint="choose a place outside of it"
        )


def _data_above(path: str, directory: str) -> list[str]:
    """Return the `data/` of workspaces above a path that the catalog need not know."""
    found, data = workspaces.find(path), []
    while found is not None and found != "/":
        if found != directory:
            data.append(os.path.join(found, workspaces.DATA))
        found = workspaces.find(os.path.dirname(found))
    return data
