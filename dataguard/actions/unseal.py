"""`unseal`: open a sealed source, for a while or for good, on the record."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.actions.places import open_store
from dataguard.actions.sealing import (
    alone,
    altered,
    record_baselines,
    refuse_mounts_below,
    target,
)
from dataguard.core.baseline import is_usable
from dataguard.core.columns import raw_paths
from dataguard.core.directories import directories
from dataguard.errors import ConflictError, UsageError
from dataguard.model.entry import Obstacle
from dataguard.model.seal import SealState, UnsealResult
from dataguard.stores.alteration import Alteration, Passage
from dataguard.stores.sealing import check_sealable

if TYPE_CHECKING:
    from datetime import timedelta

    from dataguard.actions.context import Context
    from dataguard.model.dataset import Location, Version
    from dataguard.model.seal import SealRecord

__all__ = ["unseal"]


def unseal(
    ctx: Context,
    reference: str,
    reason: str,
    duration: timedelta | None,
    *,
    place: str | None = None,
    dry_run: bool = False,
) -> UnsealResult:
    """Take a seal away and put the modes from before back; without `duration` for good.

    Who opens it, why and until when is recorded before anything is opened. The baseline moves
    with the opening: what is written from then on shows.

    Raises:
        ConflictError: nothing is sealed there, something is mounted in it, or somebody else seals
            or unseals it now.
        NotFoundError: the reference means nothing here.
        StoreUnreachableError: the place is gone or read-only.
        UsageError: there is no reason, or the caller may not take the seal away.
    """
    if not reason.strip():
        raise UsageError("a reason is needed", hint="--reason 'labels of shard 7 are wrong'")
    found = target(ctx, reference, place)
    record = found.record
    if record is None or record.state is SealState.REMOVED:
        raise ConflictError(
            f"{found.place} is not sealed", hint=f"dataguard seal {found.version.reference}"
        )
    filesystem = open_store(ctx, found.place).filesystem()
    check_sealable(found.place, "" if filesystem is None else filesystem.kind, record.kind)
    refuse_mounts_below(found.place)
    now = ctx.clock()
    wanted = replace(
        record,
        state=SealState.OPENING,
        since=now,
        actor=ctx.actor,
        reason=reason,
        until=None if duration is None else now + duration,
    )
    version = ctx.catalog.version(record.dataset, record.version)
    if dry_run:
        return _planned(ctx, version, wanted)
    ctx.progress.start(f"unsealing {version.reference}")
    try:
        with alone(ctx, found), ctx.manifests.in_use():
            return _open(ctx, version, wanted)
    finally:
        ctx.progress.finish()


def _open(ctx: Context, version: Version, record: SealRecord) -> UnsealResult:
    location = _location(ctx, version, record.place)
    with ctx.catalog.transaction() as tx:
        tx.put_seal(record)
    passage = Passage()
    filesystem = open_store(ctx, record.place).filesystem()
    coarse = filesystem is None or filesystem.tick_ns > 0
    shared = filesystem is None or filesystem.shared
    what = Alteration(record.kind, closing=False, coarse=coarse, shared=shared)
    sheet: str | None = altered(ctx, version, location, what, passage, record=record)
    if not is_usable(location.filesystem, filesystem):
        sheet = None  # what the old baseline said of another file system proves nothing here
    # What is gone needs no opening, and the next audit says that it is gone.
    stuck = [one for one in passage.unreadable if one.obstacle is not Obstacle.VANISHED]
    state = SealState.OPEN if record.until is not None else SealState.REMOVED
    done = record if stuck else replace(record, state=state)
    record_baselines(ctx, version, location, sheet=sheet, filesystem=filesystem, record=done)
    return replace(_result(version, done, passage), unreadable=tuple(stuck))


def _location(ctx: Context, version: Version, place: str) -> Location:
    """Return what is known of a place of a version, also where it was superseded there."""
    for location in ctx.catalog.locations(version.dataset, version.number):
        if location.place == place:
            return location
    raise ConflictError(f"{version.reference} was never at {place}")


def _planned(ctx: Context, version: Version, record: SealRecord) -> UnsealResult:
    paths = map(raw_paths, ctx.manifests.read(version.root, version.algorithm))
    passage = Passage(files=version.files, directories=sum(1 for _ in directories(paths)))
    state = SealState.OPEN if record.until is not None else SealState.REMOVED
    return replace(_result(version, replace(record, state=state), passage), dry_run=True)


def _result(version: Version, record: SealRecord, passage: Passage) -> UnsealResult:
    return UnsealResult(
        dataset=version.dataset,
        version=version.number,
        root=str(version.root),
        location=record.place,
        seal=record.kind,
        state=record.state,
        reason=record.reason or "",
        until=record.until,
        files=passage.files,
        directories=passage.directories,
        changed=passage.changed,
    )
