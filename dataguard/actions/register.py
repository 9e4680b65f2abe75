"""`register`: hash a source in place and record it as the next version."""

from __future__ import annotations

import grp
import pwd
from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.actions.findings import content_codes, findings_of
from dataguard.actions.recording import resolve_stale
from dataguard.actions.refusal import refusal_of, way_on
from dataguard.actions.registration import prepare
from dataguard.actions.resumption import journal_of, take_in_rest
from dataguard.model.audit import AuditLevel, AuditRecord
from dataguard.model.dataset import LocationState, Registration
from dataguard.model.journal import PACE
from dataguard.model.objects import Versioning
from dataguard.model.results.register import RegisterResult, Writers

if TYPE_CHECKING:
    from collections.abc import Collection

    from dataguard.actions.context import Context
    from dataguard.actions.intake import Intake
    from dataguard.actions.registration import Request, Task
    from dataguard.catalog.writing import Transaction
    from dataguard.core.permissions import WriterCount
    from dataguard.model.dataset import Version
    from dataguard.model.finding import Finding
    from dataguard.model.journal import Pace
    from dataguard.model.objects import ObjectPlace
    from dataguard.stores.draft import Draft, Published
    from dataguard.stores.journal import Journal

__all__ = ["carry_out", "register"]


def register(ctx: Context, request: Request, *, pace: Pace = PACE) -> RegisterResult:
    """Hash a source and record it; nothing at the source changes.

    What is read is written down at this pace, so that an attempt that is killed is gone on with
    by the next one.

    Nothing is recorded where something cannot be read, an expectation is not met, or the content
    of an active version changed at its location without `append` or `supersede`: the result then
    has no version, and says why in `findings` and `unreadable`.

    Raises:
        NotFoundError: the location does not exist.
        UsageError: the request contradicts itself or the dataset.
        PolicyError: the policy asks for a stronger digest.
        ConflictError: another registrar was faster with other content.
    """
    return carry_out(ctx, prepare(ctx, request), pace=pace)


def carry_out(ctx: Context, task: Task, *, pace: Pace = PACE) -> RegisterResult:
    """Do what `register` does, once the request is prepared.

    Raises:
        ConflictError: another registrar was faster with other content.
    """
    result = _carried_out(ctx, task, pace)
    if not task.request.chunks or result.version is None or result.refused or result.dry_run:
        return result
    from dataguard.actions.chunking import chunk_sheet  # noqa: PLC0415  only where asked for

    version = ctx.catalog.version(result.dataset, result.version)
    return replace(result, chunks=chunk_sheet(ctx, version, task.place))


def _carried_out(ctx: Context, task: Task, pace: Pace) -> RegisterResult:
    request = task.request
    ctx.progress.start(f"registering {request.name}")
    try:
        with (
            ctx.manifests.in_use(),
            ctx.manifests.draft(task.plan, objects=task.objects is not None) as draft,
            _journal(ctx, task, pace) as journal,
        ):
            intake = take_in_rest(ctx, task.source, draft, journal)
            refusal = refusal_of(ctx, task, intake)
            if refusal or intake.unreadable or request.dry_run:
                return _result(ctx, task, intake, draft, refusal=refusal)
            result = _record(ctx, task, intake, draft.publish())
            journal.remove()
            return result
    finally:
        ctx.progress.finish()


def _journal(ctx: Context, task: Task, pace: Pace) -> Journal:
    fresh, keep = task.request.rehash, not task.request.dry_run
    return journal_of(
        ctx, task.source, task.exclude, task.started, fresh=fresh, keep=keep, pace=pace
    )


def _record(ctx: Context, task: Task, intake: Intake, published: Published) -> RegisterResult:
    """Record a version whose manifest and sheets are durable."""
    request, reference = task.request, task.source.reference
    registration = Registration(
        dataset=request.name,
        root=published.root,
        algorithm=task.plan.main,
        entries=published.entries,
        files=published.files,
        bytes=published.bytes,
        place=task.place,
        sheet=published.sheet,
        filesystem=task.source.store.filesystem(),
        owner=request.owner or ctx.actor.user,
        note=request.note,
        exclude=task.exclude,
        digest_sheet=published.digest_sheet,
        metadata=request.metadata,
        append=request.append,
        supersede=request.supersede,
        reason=request.reason,
        compared_with=reference.number if reference is not None and task.in_place else None,
        objects=_recorded(task, intake),
    )
    with ctx.catalog.transaction() as tx:
        before = _at_a_place(tx, request.name)
        version, created = tx.register(registration)
        key = (version.dataset, version.number)
        if published.digest_sheet and version.digest_sheet != published.digest_sheet:
            tx.set_digest_sheet(version.dataset, version.number, published.digest_sheet)
        found = findings_of(ctx, intake.hazards, dataset=version.dataset, version=version.number)
        if found:
            tx.record_findings(found)
        audit = _first_audit(ctx, task, intake, version, len(found))
        tx.record_audit(audit)
        only_here = sum(one.state is LocationState.ACTIVE for one in tx.locations(*key)) == 1
        superseded = before - _at_a_place(tx, request.name)
    # Afterwards: there may be so many that others would wait for long.
    if only_here:
        # Bits may have rotted since an earlier attempt read them: only reading clears that.
        level = AuditLevel.QUICK if intake.resumed else audit.level
        codes, seen = content_codes(level), {finding.id for finding in found}
        resolve_stale(ctx, *key, codes, "registered again", before=task.started, seen=seen)
    for number in sorted(superseded):
        resolve_stale(ctx, request.name, number, content_codes(AuditLevel.FULL), "superseded")
    return RegisterResult(
        dataset=version.dataset,
        version=version.number,
        root=str(version.root),
        created=created,
        files=version.files,
        bytes=version.bytes,
        algorithm=str(version.algorithm),
        strength=str(version.algorithm.strength),
        hashed=intake.hashed,
        resumed=intake.resumed,
        location=task.place,
        manifest=ctx.manifests.manifest_path(version.root),
        findings=tuple(found),
        writers=_writers(intake.writers),
        expected=request.expect_name,
        unlisted=intake.unlisted,
        note=version.note,
        by_checksum=intake.by_checksum,
        objects=registration.objects,
    )


def _recorded(task: Task, intake: Intake) -> ObjectPlace | None:
    """Return how a bucket is reached, to be kept with the location; None for local trees."""
    if task.objects is None:
        return None
    versioned = task.objects.capabilities.versioning is Versioning.ENABLED
    return replace(task.objects, pinned=versioned and not intake.unpinned)


def _at_a_place(tx: Transaction, dataset: str) -> set[int]:
    """Return the versions that some place is to hold; no audit looks at the others."""
    found = tx.locations(dataset)
    return {one.version for one in found if one.state is LocationState.ACTIVE}


def _first_audit(
    ctx: Context, task: Task, intake: Intake, version: Version, findings: int
) -> AuditRecord:
    """Registering read everything since it began, or trusted a baseline: full or quick."""
    full = intake.hashed + intake.resumed == version.files
    return AuditRecord(
        dataset=version.dataset,
        version=version.number,
        location=task.place,
        level=AuditLevel.FULL if full else AuditLevel.QUICK,
        started=intake.began or task.started,
        finished=ctx.clock(),
        complete=True,
        clean=True,
        checked_files=version.files,
        checked_bytes=intake.bytes_read + intake.resumed_bytes,
        findings=findings,
        unreadable=0,
        actor=ctx.actor,
    )


def _result(
    ctx: Context, task: Task, intake: Intake, draft: Draft, *, refusal: Collection[Finding]
) -> RegisterResult:
    """Return the result of a request that recorded nothing."""
    refused = bool(refusal or intake.unreadable)
    _, files, size = draft.counts
    standing = task.source.reference if refused else None
    root = None if intake.unreadable else draft.root()
    algorithm = task.plan.main if standing is None else standing.algorithm
    hazard_findings = findings_of(ctx, intake.hazards, dataset=task.request.name, version=None)
    return RegisterResult(
        dataset=task.request.name,
        version=standing.number if standing else None,
        root=str(standing.root) if standing else (str(root) if root else None),
        created=False,
        files=standing.files if standing else files,
        bytes=standing.bytes if standing else size,
        found_files=None if intake.unreadable else files,
        found_bytes=None if intake.unreadable else size,
        algorithm=str(algorithm),
        strength=str(algorithm.strength),
        hashed=intake.hashed,
        resumed=intake.resumed,
        location=task.place,
        manifest=ctx.manifests.manifest_path(standing.root) if standing else None,
        hint=way_on(task, intake) if refusal else None,
        findings=refusal or tuple(hazard_findings),
        unreadable=tuple(intake.unreadable),
        writers=_writers(intake.writers),
        expected=task.request.expect_name,
        unlisted=intake.unlisted,
        refused=refused,
        dry_run=task.request.dry_run,
        by_checksum=intake.by_checksum,
        objects=_recorded(task, intake),
    )


def _writers(count: WriterCount) -> Writers:
    owners = {_user(uid): files for uid, files in sorted(count.owners.items())}
    groups = {_group(gid): files for gid, files in sorted(count.groups.items())}
    return Writers(owners, groups, count.everybody)


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
