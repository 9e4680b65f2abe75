"""What a reference means here and now: a version that may be used, at a place that can be read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dataguard.core.objectplaces import is_objects
from dataguard.errors import ConflictError, StoreUnreachableError, UsageError
from dataguard.model.dataset import LocationState, VersionState
from dataguard.model.reference import Reference, check_dataset_name
from dataguard.model.workspace import LockEntry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dataguard.actions.context import Context
    from dataguard.model.dataset import Location, Version
    from dataguard.model.workspace import Workspace

__all__ = ["check_usable", "fits", "is_here", "is_readable", "wanted_entries"]


def wanted_entries(
    ctx: Context,
    declared: Workspace,
    reference: Reference | None,
    name: str | None,
    *,
    contained: bool = False,
) -> tuple[LockEntry, ...]:
    """Return what is asked for, resolved: one version, or all of declaration and lock.

    A mount that is there is not moved to another location without need. A container (`contained`)
    has a host name of its own and need not see the location: any one will do.

    Raises:
        ConflictError: a version may not be used here, or the lock contradicts the catalog.
        NotFoundError: there is no such version.
        StoreUnreachableError: no location of a version can be reached from this host.
        UsageError: there is a name, but no reference; or the name is none.
    """
    if reference is not None:
        name = check_dataset_name(reference.dataset if name is None else name)
        return (_pinned(ctx, declared, reference, name, contained=contained),)
    if name is not None:
        raise UsageError("a name is given, but nothing to mount", hint="dataguard mount REF --as X")
    names = dict.fromkeys([*declared.datasets, *declared.lock])
    return tuple(_declared(ctx, declared, name, contained=contained) for name in names)


def _declared(ctx: Context, declared: Workspace, name: str, *, contained: bool) -> LockEntry:
    """Return what a declared mount means: the lock decides, where it still fits the reference."""
    locked = declared.lock.get(name)
    reference = Reference.parse(declared.datasets[name]) if name in declared.datasets else None
    if locked is not None and (reference is None or fits(reference, locked)):
        now = _source_now(ctx, declared, name)
        return _follow_lock(ctx, locked, preferred=now, contained=contained)
    wanted = Reference.parse(declared.datasets[name])
    return _pinned(ctx, declared, wanted, name, contained=contained)


def _pinned(
    ctx: Context, declared: Workspace, reference: Reference, name: str, *, contained: bool
) -> LockEntry:
    now = _source_now(ctx, declared, name)
    return _pin(ctx, reference, name=name, preferred=now, contained=contained)


def _source_now(ctx: Context, declared: Workspace, name: str) -> tuple[str, ...]:
    """Return where the mount of that name shows from, so that it is not moved without need."""
    records = ctx.catalog.mounts(workspace=declared.directory, host=ctx.process.host)
    return tuple(record.source for record in records if record.name == name)


def fits(reference: Reference, entry: LockEntry) -> bool:
    """Whether a lock entry can be what a reference was resolved to."""
    return (
        reference.dataset == entry.dataset
        and reference.number in (None, entry.version)
        and entry.root.hex.startswith(reference.root_prefix or "")
    )


def _pin(
    ctx: Context, reference: Reference, *, name: str, preferred: Iterable[str], contained: bool
) -> LockEntry:
    """Return what a reference means now, at the first of the preferred places that is there.

    Raises:
        ConflictError: the version is quarantined or withdrawn, or lies in an object store only,
            where a container is to show it.
        NotFoundError: there is no such version.
        StoreUnreachableError: no location of it can be reached from this host.
    """
    version = ctx.catalog.resolve(reference)
    check_usable(version)
    place = _place(ctx, version, tuple(preferred), contained=contained)
    return LockEntry(name, version.dataset, version.number, version.root, place)


def _follow_lock(
    ctx: Context, entry: LockEntry, *, preferred: Iterable[str], contained: bool
) -> LockEntry:
    """Return what a lock entry means here, where the version may lie at another location.

    Raises:
        ConflictError: the catalog knows another content under this version; or as in `_pin`.
        NotFoundError: there is no such version.
        StoreUnreachableError: no location of it can be reached from this host.
    """
    reference = Reference(entry.dataset, number=entry.version)
    version = ctx.catalog.resolve(reference)
    if version.root != entry.root:
        raise ConflictError(
            f"the lock has {reference} as {entry.root}, the catalog as {version.root}",
            hint=f"`dataguard mount {reference}` takes the catalog's; check where the lock is from",
        )
    places = (*preferred, entry.location)
    return _pin(ctx, reference, name=entry.name, preferred=places, contained=contained)


def check_usable(version: Version) -> None:
    """Refuse what must not be mounted.

    Raises:
        ConflictError: the version is quarantined or withdrawn.
    """
    if version.state is VersionState.QUARANTINED:
        raise ConflictError(
            f"{version.reference} is quarantined: {version.state_reason}",
            hint=f"dataguard release {version.reference} --reason WHY",
        )
    if version.state is VersionState.WITHDRAWN:
        raise ConflictError(
            f"{version.reference} is withdrawn: {version.state_reason}",
            hint=f"`dataguard log {version.dataset}` shows other versions",
        )


def _place(ctx: Context, version: Version, preferred: tuple[str, ...], *, contained: bool) -> str:
    """Return where a version is shown from: a directory of this host before an object store."""
    locations = ctx.catalog.locations(version.dataset, version.number)
    active = [one for one in locations if one.state is LocationState.ACTIVE]
    remote = [one.place for one in active if is_objects(one.place)]
    if contained:
        local = [one.place for one in active if not is_objects(one.place)]
    else:
        local = [one.place for one in active if is_here(one, ctx.actor.host)]
    known = [*local, *remote]
    for place in (*(one for one in preferred if one in known), *known):
        if os.path.isdir(place) or (place in remote and not contained):
            return place
    if contained and local:
        return local[0]
    if contained and remote:
        raise ConflictError(
            f"{version.reference} lies in an object store, which no container's runtime mounts",
            hint="mount it on the host, and hand that directory on",
        )
    raise StoreUnreachableError(
        f"no location of {version.reference} can be reached from this host",
        hint=f"`dataguard show {version.reference}` lists its locations",
    )


def is_readable(location: Location, host: str) -> bool:
    """Whether what a location holds can be read from this host, as a directory or as objects."""
    return is_objects(location.place) or is_here(location, host)


def is_here(location: Location, host: str) -> bool:
    """Whether a location can be a directory of this host: local to it, or shared."""
    if is_objects(location.place):
        return False
    filesystem = location.filesystem
    return filesystem is None or filesystem.shared or filesystem.host == host
