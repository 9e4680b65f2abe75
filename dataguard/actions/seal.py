"""`seal`: protect a source in place, with the proof that it is what was registered."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.actions.comparison import compare
from dataguard.actions.places import open_store
from dataguard.actions.sealing import alone, altered, record_baselines, refuse_mounts_below, target
from dataguard.actions.sealproof import confirm
from dataguard.core.columns import raw_paths
from dataguard.core.directories import directories
from dataguard.core.sealing import keeps_from_sealing
from dataguard.errors import ConflictError
from dataguard.model.audit import AuditLevel
from dataguard.model.dataclass import dataclass
from dataguard.model.finding import Code
from dataguard.model.policy import Seal
from dataguard.model.seal import SealRecord, SealResult, SealState
from dataguard.stores.alteration import Alteration, Passage
from dataguard.stores.directorymodes import publish_modes, read_modes
from dataguard.stores.sealing import (
    check_sealable,
    count_excluded,
    directory_modes,
    offers_flags,
    settle,
)
from dataguard.stores.sightings import Sightings

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from dataguard.actions.comparison import Comparison
    from dataguard.actions.context import Context
    from dataguard.actions.sealing import Target
    from dataguard.model.dataset import FileSystem
    from dataguard.model.entry import Unreadable

__all__ = ["seal"]


def seal(
    ctx: Context,
    reference: str,
    kind: Seal | None = None,
    *,
    place: str | None = None,
    rehash: bool = False,
    dry_run: bool = False,
) -> SealResult:
    """Protect a version in place: immutable flags where there are any, else no write permission.

    The place is compared with the version first, and nothing is touched where they differ or
    something cannot be checked. After it every file is compared again, those read of which it is
    not proved that nobody wrote (with `rehash` all), and a new baseline is recorded. Interrupted,
    or refused at the second comparison, the seal stays unfinished, and the same command goes on.

    Raises:
        ConflictError: a newer version is at the place, it is sealed otherwise, has other mounts
            in it or no baseline, or somebody else seals it now.
        NotFoundError: the reference means nothing here.
        StoreUnreachableError: the place is gone, read-only, or on another host.
        UsageError: the file system has no such seal, or the caller may not set it.
    """
    task = _prepare(ctx, target(ctx, reference, place), kind, rehash=rehash)
    ctx.progress.start(f"sealing {task.target.version.reference}")
    try:
        with alone(ctx, task.target):
            return _seal(ctx, task, dry_run=dry_run)
    finally:
        ctx.progress.finish()


@dataclass(frozen=True, slots=True)
class _Task:
    """What is to be sealed, and how."""

    target: Target
    kind: Seal
    filesystem: FileSystem
    rehash: bool


def _prepare(ctx: Context, found: Target, kind: Seal | None, *, rehash: bool) -> _Task:
    """Decide on the seal, and refuse what can be refused before anything is read."""
    version, location, record = found.version, found.location, found.record
    newest = next(
        (o for o in ctx.catalog.locations_at(found.place) if o.dataset == version.dataset), location
    )
    if newest.version != version.number:
        raise ConflictError(
            f"{found.place} holds {version.dataset}@{newest.version} by now, which has more in it",
            hint=f"dataguard seal {version.dataset}@{newest.version}",
        )
    filesystem = open_store(ctx, found.place).filesystem()
    if filesystem is None:  # a place of another kind than a directory
        raise ConflictError(f"{found.place} lies on no file system")
    chosen = kind or _chosen(found, filesystem.kind)
    check_sealable(found.place, filesystem.kind, chosen)
    if record is not None and record.remembers:
        _check_fits(record, found, chosen)
    refuse_mounts_below(found.place)
    return _Task(found, chosen, filesystem, rehash)


def _chosen(found: Target, filesystem: str) -> Seal:
    """Return the seal that was there, else the best that the file system has."""
    record = found.record
    if record is not None and record.state is not SealState.REMOVED:
        return record.kind
    return Seal.IMMUTABLE if offers_flags(found.place, filesystem) else Seal.MODE


def _check_fits(record: SealRecord, found: Target, kind: Seal) -> None:
    """Check that what the record remembers of a seal is about this one."""
    same = (found.version.dataset, found.version.number) == (record.dataset, record.version)
    if record.kind is kind and (same or kind is Seal.IMMUTABLE):
        return
    raise ConflictError(
        f"{record.place} is sealed already, with `{record.kind}` as {record.reference}",
        hint=f"dataguard unseal {record.reference} --reason WHY --for 1h --location {record.place}",
    )


def _seal(ctx: Context, task: _Task, *, dry_run: bool) -> SealResult:
    found = task.target
    before = compare(ctx, found.version, found.location, level=AuditLevel.QUICK)
    if before.damage is not None:
        raise before.damage
    if not before.baseline and not before.unreadable and not before.findings.violations:
        raise ConflictError(
            f"{found.place} has no baseline that holds on this host",
            hint=f"dataguard register {found.version.dataset} {found.place}",
        )
    hindrances = Sightings(f for f in before.findings if keeps_from_sealing(f, found.record))
    if hindrances or before.unreadable:
        return _refused(task, before.unreadable, hindrances)
    if dry_run:
        return _planned(ctx, task, before)
    with ctx.manifests.in_use():
        record = _begin(ctx, task)
        return _perform(ctx, task, record, before)


def _begin(ctx: Context, task: _Task) -> SealRecord:
    """Record that sealing began; what it will change is remembered before."""
    found, version = task.target, task.target.version
    record = SealRecord(
        place=found.place,
        dataset=version.dataset,
        version=version.number,
        kind=task.kind,
        state=SealState.SEALING,
        since=ctx.clock(),
        actor=ctx.actor,
    )
    old = found.record
    if old is not None and old.remembers:
        key = _remembered_again(ctx, found, old)
        record = replace(record, modes=old.modes, directories=key)
    elif task.kind is Seal.MODE:
        rows = directory_modes(found.place, directories(_paths(ctx, found)))
        key = publish_modes(ctx.settings.home.value, version.root, rows)
        record = replace(record, modes=found.location.sheet, directories=key)
    with ctx.catalog.transaction() as tx:
        tx.put_seal(record)
    return record


def _remembered_again(ctx: Context, found: Target, old: SealRecord) -> str | None:
    """Remember the directories that took the place of sealed ones since, beside those that stay."""
    version = found.version
    if old.directories is None or (old.dataset, old.version) != (version.dataset, version.number):
        return old.directories
    home = ctx.settings.home.value
    now = directory_modes(found.place, directories(_paths(ctx, found)))
    known = read_modes(home, version.root, old.directories)
    rows = (
        replaced if then.inode not in (None, replaced.inode) else replaced._replace(mode=then.mode)
        for then, replaced in zip(known, now, strict=True)
    )
    return publish_modes(home, version.root, rows)


def _perform(ctx: Context, task: _Task, record: SealRecord, before: Comparison) -> SealResult:
    found, version = task.target, task.target.version
    coarse = task.filesystem.tick_ns > 0
    passage = Passage()
    shared = task.filesystem.shared
    what = Alteration(task.kind, closing=True, coarse=coarse, shared=shared)
    sealed = altered(ctx, version, found.location, what, passage)
    settle(task.filesystem.tick_ns)
    confirmed = confirm(ctx, found, sealed, passage, rehash=task.rehash)
    if confirmed.findings or confirmed.unreadable or confirmed.sheet is None:
        task = replace(task, target=replace(found, record=record))
        return _refused(task, confirmed.unreadable, confirmed.findings, passage)
    done = replace(record, state=SealState.SEALED, since=ctx.clock())
    record_baselines(
        ctx, version, found.location, sheet=confirmed.sheet, filesystem=task.filesystem, record=done
    )
    result = _result(task, passage, _hazards(before))
    return replace(result, state=done.state, hashed=confirmed.hashed)


def _paths(ctx: Context, found: Target) -> Iterator[pa.Array]:
    version = found.version
    return map(raw_paths, ctx.manifests.read(version.root, version.algorithm))


def _hazards(before: Comparison) -> Sightings:
    return Sightings(f for f in before.findings if f.code in (Code.DG108, Code.DG109))


def _planned(ctx: Context, task: _Task, before: Comparison) -> SealResult:
    passage = Passage(
        files=task.target.version.files,
        directories=sum(1 for _ in directories(_paths(ctx, task.target))),
    )
    result = _result(task, passage, _hazards(before))
    return replace(result, dry_run=True)


def _refused(
    task: _Task,
    unreadable: tuple[Unreadable, ...],
    findings: Sightings,
    passage: Passage | None = None,
) -> SealResult:
    result = _result(task, passage or Passage(), findings)
    return replace(result, unreadable=unreadable, refused=True)


def _result(task: _Task, passage: Passage, findings: Sightings) -> SealResult:
    found, version = task.target, task.target.version
    return SealResult(
        dataset=version.dataset,
        version=version.number,
        root=str(version.root),
        location=found.place,
        filesystem=task.filesystem.kind,
        seal=task.kind,
        state=None if found.record is None else found.record.state,
        files=passage.files,
        directories=passage.directories,
        changed=passage.changed,
        hashed=0,
        excluded=count_excluded(found.place, version.exclude),
        findings=findings,
        unreadable=(),
    )
