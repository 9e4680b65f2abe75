"""What a registration changes: a decision over the dataset's records, without any I/O."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.errors import ConflictError
from dataguard.model.dataclass import dataclass
from dataguard.model.dataset import Dataset, Location, LocationState, Version, VersionState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from dataguard.model.actor import Actor
    from dataguard.model.dataset import Registration

__all__ = ["Plan", "plan_registration"]


@dataclass(frozen=True, slots=True)
class Plan:
    """The version that is meant, whether it is new, and every record that changes."""

    version: Version
    created: bool
    datasets: tuple[Dataset, ...]
    versions: tuple[Version, ...]
    locations: tuple[Location, ...]


def plan_registration(
    wanted: Registration,
    versions: Sequence[Version],
    locations: Sequence[Location],
    *,
    actor: Actor,
    now: datetime,
) -> Plan:
    """Decide what a registration changes, given all versions and locations of its dataset.

    Raises:
        ConflictError: the place holds another active version, and neither `append` nor
            `supersede` says what becomes of it.
    """
    known = next((version for version in versions if version.root == wanted.root), None)
    version = _new(wanted, versions, actor, now) if known is None else _again(wanted, known)
    rivals = _rivals(wanted, version, locations)
    retired = tuple(_retired(one) for one in rivals) if wanted.supersede else ()
    left = _left(wanted, versions, locations, retired)
    changed = (_location(wanted, version, locations, now), *retired)
    return Plan(
        version,
        known is None,
        () if versions else (Dataset(wanted.dataset, now, wanted.owner),),
        tuple(one for one in (version, *left) if one not in versions),
        tuple(one for one in changed if one not in locations),
    )


def _new(wanted: Registration, versions: Sequence[Version], actor: Actor, now: datetime) -> Version:
    return Version(
        dataset=wanted.dataset,
        number=max((version.number for version in versions), default=0) + 1,
        root=wanted.root,
        algorithm=wanted.algorithm,
        entries=wanted.entries,
        files=wanted.files,
        bytes=wanted.bytes,
        state=VersionState.ACTIVE,
        created=now,
        actor=actor,
        note=wanted.note,
        exclude=wanted.exclude,
        digest_sheet=wanted.digest_sheet,
        metadata=wanted.metadata,
    )


def _again(wanted: Registration, known: Version) -> Version:
    """Return a version whose content was found again; a retired one is active again."""
    version = replace(known, digest_sheet=wanted.digest_sheet or known.digest_sheet)
    if known.state is VersionState.SUPERSEDED:
        return replace(version, state=VersionState.ACTIVE, state_reason=wanted.reason)
    return version


def _rivals(
    wanted: Registration, version: Version, locations: Sequence[Location]
) -> tuple[Location, ...]:
    """Return the other versions that are active at the same place.

    The newest there registered again is no conflict: it was appended to the others.
    """
    there = [one for one in locations if one.place == wanted.place and _is_active(one)]
    rivals = tuple(one for one in there if one.version != version.number)
    newest = max(there, key=lambda one: (one.created, one.version)).version if there else None
    if newest not in {version.number, None} and wanted.compared_with not in {newest, None}:
        raise ConflictError(
            f"`{wanted.place}` holds {wanted.dataset}@{newest} since this registration began",
            hint="another registration was faster; look at it, then `dataguard register` again",
        )
    if newest not in {version.number, None} and not (wanted.append or wanted.supersede):
        raise ConflictError(
            f"`{wanted.place}` already holds {wanted.dataset}@{newest} with other content",
            hint="another registration was faster; `dataguard register` again, with `--append` or "
            "`--supersede` and `--reason` if the change is meant",
        )
    return rivals


def _location(
    wanted: Registration, version: Version, locations: Sequence[Location], now: datetime
) -> Location:
    # Content that comes back after it was superseded there is the newest at the place again.
    created = next(
        (
            one.created
            for one in locations
            if one.place == wanted.place and one.version == version.number and _is_active(one)
        ),
        now,
    )
    return Location(
        dataset=wanted.dataset,
        version=version.number,
        place=wanted.place,
        state=LocationState.ACTIVE,
        sheet=wanted.sheet,
        filesystem=wanted.filesystem,
        created=created,
        objects=wanted.objects,
    )


def _left(
    wanted: Registration,
    versions: Sequence[Version],
    locations: Sequence[Location],
    retired: Sequence[Location],
) -> tuple[Version, ...]:
    """Return the active versions that have no location left, as superseded."""
    gone = {(one.version, one.place) for one in retired}
    places = {
        one.version for one in locations if _is_active(one) and (one.version, one.place) not in gone
    }
    numbers = {one.version for one in retired} - places
    return tuple(
        replace(version, state=VersionState.SUPERSEDED, state_reason=wanted.reason)
        for version in versions
        if version.number in numbers and version.state is VersionState.ACTIVE
    )


def _retired(location: Location) -> Location:
    return replace(location, state=LocationState.SUPERSEDED)


def _is_active(location: Location) -> bool:
    return location.state is LocationState.ACTIVE
