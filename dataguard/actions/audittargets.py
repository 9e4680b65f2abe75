"""What an audit looks at, and its first look begun.

Imports no Arrow, so that workers are at work before that is loaded: see `begin`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataguard.actions.places import open_store
from dataguard.actions.resolution import is_readable
from dataguard.core.clearance import is_at_least, standing_damage
from dataguard.core.objectplaces import is_objects
from dataguard.errors import NotFoundError, StoreUnreachableError, UsageError
from dataguard.model.audit import AuditLevel
from dataguard.model.dataset import LocationState, VersionState
from dataguard.model.digest import DigestPlan
from dataguard.model.reference import Reference
from dataguard.stores.begun import BegunStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, timedelta

    from dataguard.actions.context import Context
    from dataguard.model.dataset import Location, Version
    from dataguard.stores.interface import Store

__all__ = ["Begun", "begin", "check_parts", "meant", "targets"]


@dataclass(frozen=True, slots=True)
class Begun:
    """A full look at one location that workers have begun; `started` is before their first read."""

    version: Version
    location: Location
    started: datetime
    store: Store


def begin(
    ctx: Context, references: tuple[str, ...], level: AuditLevel, max_age: timedelta | None
) -> Begun | None:
    """Have the workers begin with what an audit looks at first, where all of that will be read.

    Whatever keeps them from it is found again, and said, by the audit itself.

    Raises:
        NotFoundError: a reference means nothing, or its version has no active location.
    """
    version, location = next(targets(ctx, references, level, max_age), (None, None))
    if version is None or location is None or is_objects(location.place):
        return None
    if level.at(objects=False) is not AuditLevel.FULL:
        return None
    if not is_readable(location, ctx.process.host):
        return None
    started = ctx.clock()
    try:
        # As the comparison opens it: what was not in memory before must not be afterwards.
        store = open_store(ctx, location.place, version.exclude, polite=True)
        return Begun(version, location, started, BegunStore(store, DigestPlan(version.algorithm)))
    except (NotFoundError, UsageError, StoreUnreachableError):
        return None


def targets(
    ctx: Context, references: tuple[str, ...], level: AuditLevel, max_age: timedelta | None
) -> Iterator[tuple[Version, Location | None]]:
    """Yield each meant version with each of its active locations that is due for an audit.

    None stands for the location of an active version that has none.

    Raises:
        NotFoundError: a reference means nothing, or its version has no active location.
    """
    for version in meant(ctx, references):
        locations = [
            location
            for location in ctx.catalog.locations(version.dataset, version.number)
            if location.state is LocationState.ACTIVE
        ]
        if not locations and references:
            raise NotFoundError(
                f"{version.reference} has no active location",
                hint=f"`dataguard show {version.reference}` tells where it was",
            )
        # One in quarantine cannot be used anyway, and often it is there because its place was lost.
        if not locations and version.state is VersionState.ACTIVE:
            yield version, None
        for location in locations:
            if max_age is None or not _is_fresh(ctx, version, location, level, max_age):
                yield version, location


def check_parts(ctx: Context, references: tuple[str, ...]) -> None:
    """Refuse to read all of a bucket where a part at a time is meant.

    Raises:
        NotFoundError: a reference means nothing, or its version has no active location.
        UsageError: something that is meant lies in a bucket.
    """
    for version, location in targets(ctx, references, AuditLevel.FULL, None):
        if location is not None and is_objects(location.place):
            raise UsageError(
                f"level 3 reads a part of {location.place} at a time",
                hint=f"dataguard audit {version.reference} --level 3 --slice 1/30, or --level 4",
            )


def meant(ctx: Context, references: tuple[str, ...]) -> Iterator[Version]:
    """Yield the versions that are meant; without references, all that are active or quarantined.

    A dataset without an active version means its newest one in quarantine: an audit leads out.

    Raises:
        NotFoundError: a reference means nothing.
    """
    if references:
        for text in references:
            yield _audited(ctx, Reference.parse(text))
        return
    for version in ctx.catalog.versions():
        if version.state in (VersionState.ACTIVE, VersionState.QUARANTINED):
            yield version


def _audited(ctx: Context, reference: Reference) -> Version:
    if reference == Reference(reference.dataset):
        states = {one.state: one for one in ctx.catalog.versions(reference.dataset)}
        if VersionState.ACTIVE not in states and VersionState.QUARANTINED in states:
            return states[VersionState.QUARANTINED]
    return ctx.catalog.resolve(reference)


def _is_fresh(
    ctx: Context, version: Version, location: Location, level: AuditLevel, max_age: timedelta
) -> bool:
    """Whether a clean audit of the level is young enough, and none since says otherwise.

    Its age counts from its start: what it read first may have changed while it read the rest.
    """
    audits = [
        audited
        for audited in ctx.catalog.audits(version.dataset, version.number)
        if audited.location == location.place
    ]
    if not audits or not audits[0].clean or standing_damage(audits) is not None:
        return False
    wanted = level.at(objects=is_objects(location.place))
    return any(
        audited.clean
        and is_at_least(audited.level, wanted)
        and ctx.clock() - audited.started < max_age
        for audited in audits
    )
