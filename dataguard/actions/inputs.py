"""The inputs of a job: what each reference means, where it is read, how it is mounted."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.actions.resolution import fits, is_here
from dataguard.core.mountplan import status
from dataguard.core.objectplaces import is_objects
from dataguard.errors import DataguardError, NotFoundError, UsageError
from dataguard.model.dataclass import dataclass
from dataguard.model.dataset import LocationState
from dataguard.model.gate import MountCondition
from dataguard.model.mount import Backend, MountState, is_fetched
from dataguard.model.mountpoint import MountStatus
from dataguard.model.reference import Reference
from dataguard.mounts.view import look

if TYPE_CHECKING:
    from dataguard.actions.context import Context
    from dataguard.model.dataset import Location, Version
    from dataguard.model.mount import MountRecord
    from dataguard.model.workspace import LockEntry, Workspace

__all__ = ["JobInput", "resolve_inputs"]

_CONDITIONS = {
    MountStatus.LIVE: MountCondition.READ_ONLY,
    MountStatus.DECLARED: MountCondition.DECLARED,
    MountStatus.LINK: MountCondition.SYMLINK,
    MountStatus.MISSING: MountCondition.MISSING,
    MountStatus.STALE: MountCondition.MISSING,
    MountStatus.REPLACED: MountCondition.REPLACED,
    MountStatus.WRITABLE: MountCondition.WRITABLE,
}


@dataclass(frozen=True, slots=True)
class JobInput:
    """One input of a job, resolved once.

    `path` is where the job reads: the mount, or the location itself. `target` is where a mount is
    declared, which a job can have for itself alone. `cache` is the node cache that the mount
    reads from, if it does; `served` is a mount whose objects are fetched when they are
    read. `version` and `location` are None where the reference means nothing
    here, and `error` says why.
    """

    name: str
    reference: str
    pinned: bool
    version: Version | None
    location: Location | None
    path: str
    mount: MountCondition
    detail: str = ""
    error: str = ""
    target: str | None = None
    cache: str | None = None
    served: MountRecord | None = None


def resolve_inputs(
    ctx: Context, references: tuple[str, ...], workspace: Workspace | None
) -> tuple[JobInput, ...]:
    """Return the inputs that are asked for; without references, all of the workspace's lock.

    A bare name that the lock pins means the locked version.

    Raises:
        UsageError: a reference has another form, or there is neither reference nor workspace.
    """
    locked = {} if workspace is None else {e.name: e for e in workspace.lock.values()}
    if not references:
        if workspace is None:
            raise UsageError(
                "no inputs: there is no workspace here and no --input",
                hint="dataguard gate --input NAME@1, or -w DIR",
            )
        missing = [name for name in workspace.datasets if name not in locked]
        declared = [(name, Reference.parse(workspace.datasets[name])) for name in missing]
        return (
            *(_locked(ctx, entry, workspace) for entry in locked.values()),
            *(_input(ctx, name, reference, workspace) for name, reference in declared),
        )
    return tuple(_asked(ctx, text, workspace) for text in references)


def _asked(ctx: Context, text: str, workspace: Workspace | None) -> JobInput:
    lock = {} if workspace is None else workspace.lock
    reference = Reference.parse(text)
    for entry in lock.values():
        if text in (entry.name, entry.dataset):
            return _locked(ctx, entry, workspace)
    return _input(ctx, reference.dataset, reference, workspace)


def _locked(ctx: Context, entry: LockEntry, workspace: Workspace | None) -> JobInput:
    """Return an input as the lock pins it; the catalog must know the same content."""
    found = _input(ctx, entry.name, Reference(entry.dataset, number=entry.version), workspace)
    wanted = workspace.datasets.get(entry.name) if workspace is not None else None
    if found.version is not None and found.version.root != entry.root:
        error = f"the lock has {entry.root}, the catalog {found.version.root}"
    elif wanted is not None and not fits(Reference.parse(wanted), entry):
        error = f"dataguard.toml asks for {wanted}, the lock has @{entry.version}"
    else:
        return found
    return replace(found, version=None, location=None, error=error)


def _input(ctx: Context, name: str, reference: Reference, workspace: Workspace | None) -> JobInput:
    try:
        version = ctx.catalog.resolve(reference)
        location = _location(ctx, version)
    except (NotFoundError, UsageError) as err:
        return JobInput(
            name=name,
            reference=str(reference),
            pinned=reference.is_pinned,
            version=None,
            location=None,
            path="",
            mount=MountCondition.UNKNOWN,
            error=err.message,
        )
    record = _mount_record(ctx, name, version, workspace)
    condition, detail = _condition(ctx, record, is_locked=_is_locked(name, workspace))
    if record is not None and condition in (MountCondition.READ_ONLY, MountCondition.SYMLINK):
        location = _shown(ctx, version, record) or location
        if condition is MountCondition.READ_ONLY and not _is_shown(ctx, location, record):
            condition, detail = MountCondition.REPLACED, "it shows another directory"
    read_there = condition in (MountCondition.READ_ONLY, MountCondition.SYMLINK)
    shown = record if read_there else None
    return JobInput(
        name=name,
        reference=str(reference),
        pinned=reference.is_pinned,
        version=version,
        location=location,
        path=location.place if shown is None else shown.target,
        mount=condition,
        detail=detail,
        target=record.target if record and condition is MountCondition.DECLARED else None,
        cache=_cache(ctx, shown) if shown is not None else None,
        served=shown if shown is not None and is_fetched(shown.backend, shown.source) else None,
    )


def _shown(ctx: Context, version: Version, record: MountRecord) -> Location | None:
    """Return the active location that a mount was made of: what the job will read."""
    for location in ctx.catalog.locations(version.dataset, version.number):
        if location.state is LocationState.ACTIVE and location.place == record.source:
            return location
    return None


def _is_shown(ctx: Context, location: Location, record: MountRecord) -> bool:
    """Whether the mount shows what is verified."""
    shown = (record.root_device, record.root_inode)
    if record.backend is Backend.CAS:
        from dataguard.actions.cachedtree import image_of  # noqa: PLC0415  for mounts of a cache

        return shown == _identity(image_of(ctx, record))
    if is_fetched(record.backend, record.source):
        from dataguard.actions.servedtree import description_of  # noqa: PLC0415  for objects
        from dataguard.model.served import identity_of  # noqa: PLC0415  as above

        return shown == identity_of(description_of(ctx, record))
    return shown == _identity(location.place)


def _cache(ctx: Context, record: MountRecord) -> str | None:
    if record.backend is not Backend.CAS:
        return None
    from dataguard.actions.cachedtree import cache_of  # noqa: PLC0415  for mounts of a cache

    return cache_of(ctx, record)


def _identity(place: str) -> tuple[int, int] | None:
    try:
        status = os.stat(place)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _is_locked(name: str, workspace: Workspace | None) -> bool:
    return workspace is not None and (name in workspace.lock or name in workspace.datasets)


def _location(ctx: Context, version: Version) -> Location:
    known = [
        location
        for location in ctx.catalog.locations(version.dataset, version.number)
        if location.state is LocationState.ACTIVE
    ]
    here = [one for one in known if is_here(one, ctx.process.host)]
    for location in here:
        if os.path.isdir(location.place):
            return location
    remote = [one for one in known if is_objects(one.place)]
    if remote or here:
        return (*remote, *here)[0]  # verification says of a directory that it is gone
    raise NotFoundError(f"{version.reference} has no location on this host")


def _mount_record(
    ctx: Context, name: str, version: Version, workspace: Workspace | None
) -> MountRecord | None:
    if workspace is None:
        return None
    for record in ctx.catalog.mounts(workspace=workspace.directory, host=ctx.process.host):
        same = (record.dataset, record.version) == (version.dataset, version.number)
        if record.name == name and same and record.state is MountState.ACTIVE:
            return record
    return None


def _condition(
    ctx: Context, record: MountRecord | None, *, is_locked: bool
) -> tuple[MountCondition, str]:
    if record is None:
        if is_locked:
            return MountCondition.MISSING, "declared in the workspace, but not mounted"
        return MountCondition.NOT_MOUNTED, "read at its location"
    try:
        found = status(record, look(record.target), ctx.process.boot_id)
    except DataguardError as err:
        return MountCondition.UNKNOWN, err.message
    condition = _CONDITIONS[found]
    if record.backend is Backend.DECLARED and condition is MountCondition.READ_ONLY:
        return condition, "made real for the job that asks"  # a run within a run; never probed
    if condition is MountCondition.READ_ONLY and record.probe is not None:
        refused = record.probe.proves_read_only
        return (condition, "") if refused else (MountCondition.PROBE_FAILED, "see `dataguard show`")
    return condition, ""
