"""`register`: hash a source in place and record it as the next version."""

from __future__ import annotations

import grp
import pwd
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataguard.actions.findings import findings_of, unstable_findings
from dataguard.actions.observation import Observation, Reading, observe
from dataguard.actions.places import open_store, source_place
from dataguard.core.align import align
from dataguard.core.baseline import is_usable
from dataguard.core.expectation import Expectation, judge_expectation
from dataguard.core.permissions import WriterCount
from dataguard.core.verdicts import Difference, hazards, judge, merge_kind_changes
from dataguard.errors import PolicyError, UsageError
from dataguard.model.audit import AuditLevel, AuditRecord
from dataguard.model.dataset import Registration
from dataguard.model.digest import IDENTITY_ALGORITHMS, Algorithm, DigestPlan, Strength
from dataguard.model.finding import Code
from dataguard.model.reference import Reference, check_dataset_name
from dataguard.model.results import RegisterResult, Writers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from dataguard.actions.context import Context
    from dataguard.model.dataset import Location, Version
    from dataguard.model.entry import Unreadable
    from dataguard.model.finding import Finding
    from dataguard.stores.interface import Store
    from dataguard.stores.manifests import Draft, Published

__all__ = ["Request", "register"]

_CONTENT_CODES = (Code.DG101, Code.DG102, Code.DG103, Code.DG104, Code.DG105, Code.DG107)


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked `register` to do; see the command's help for each field."""

    name: str
    location: str
    digest: Algorithm | None = None
    also: tuple[Algorithm, ...] = ()
    expect: Expectation | None = None
    expect_name: str | None = None
    exclude: tuple[str, ...] = ()
    note: str | None = None
    owner: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    replica: bool = False
    append: bool = False
    supersede: bool = False
    reason: str | None = None
    rehash: bool = False
    dry_run: bool = False


def register(ctx: Context, request: Request) -> RegisterResult:
    """Hash a source and record it; nothing at the source changes.

    Nothing is recorded where something cannot be read, an expectation is not met, or the content
    of an active version changed at its location without `append` or `supersede`: the result then
    has no version, and says why in `findings` and `unreadable`.

    Raises:
        NotFoundError: the location does not exist.
        UsageError: the request contradicts itself or the dataset.
        PolicyError: the policy asks for a stronger digest.
        ConflictError: another registrar was faster with other content.
    """
    check_dataset_name(request.name)
    _check_request(request)
    place = source_place(ctx, request.location)
    task = _prepare(ctx, request, place)
    ctx.progress.start(f"registering {request.name}")
    try:
        with ctx.manifests.draft(task.plan) as draft:
            scan = _scan(ctx, task, draft)
            refusal = _refusal(ctx, task, scan)
            if refusal or scan.unreadable or request.dry_run:
                return _result(ctx, task, scan, draft, refusal=refusal)
            published = draft.publish()
        return _record(ctx, task, scan, published)
    finally:
        ctx.progress.finish()


@dataclass(frozen=True, slots=True)
class _Task:
    """A request with everything it was resolved to before reading.

    `reference` is the version that the content is compared with; it lies `in_place` at the same
    location, unless the place is to become a replica.
    """

    request: Request
    place: str
    store: Store
    plan: DigestPlan
    reads: DigestPlan
    exclude: tuple[str, ...]
    reference: Version | None
    in_place: Location | None
    baseline: bool
    started: datetime


@dataclass(slots=True)
class _Scan:
    """What reading brought to light beside the entries."""

    differences: list[Difference] = field(default_factory=list)
    broken: list[Difference] = field(default_factory=list)
    hazards: list[Difference] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    writers: WriterCount = field(default_factory=WriterCount)
    hashed: int = 0
    bytes_read: int = 0
    unlisted: int = 0


def _check_request(request: Request) -> None:
    if request.append and request.supersede:
        raise UsageError("--append and --supersede exclude one another")
    if (request.append or request.supersede) and not request.reason:
        raise UsageError("--append and --supersede need --reason", hint="--reason 'new shards'")
    wrong = [a for a in (request.digest, *request.also) if a and a not in IDENTITY_ALGORITHMS]
    if wrong:
        choice = ", ".join(IDENTITY_ALGORITHMS)
        raise UsageError(f"`{wrong[0]}` is no digest for versions", hint=f"choose from {choice}")


def _prepare(ctx: Context, request: Request, place: str) -> _Task:
    in_place = _location_here(ctx, request.name, place)
    reference = _reference(ctx, request, in_place)
    main = _main_algorithm(ctx, request, reference)
    also = tuple(a for a in dict.fromkeys(request.also) if a is not main)
    plan = DigestPlan(main, also)
    exclude = request.exclude or (reference.exclude if reference else ())
    store = open_store(ctx, place, exclude)
    comparable = reference is not None and reference.algorithm is main
    baseline = (
        comparable
        and in_place is not None
        and in_place.sheet is not None
        and not (request.rehash or also or request.expect)
        and is_usable(in_place.filesystem, store.filesystem())
    )
    return _Task(
        request=request,
        place=place,
        store=store,
        plan=plan,
        reads=_with_expected(plan, request.expect),
        exclude=exclude,
        reference=reference if comparable else None,
        in_place=in_place,
        baseline=baseline,
        started=ctx.clock(),
    )


def _location_here(ctx: Context, name: str, place: str) -> Location | None:
    """Return the active location of the dataset's newest version at the place."""
    here = [found for found in ctx.catalog.locations_at(place) if found.dataset == name]
    return here[0] if here else None


def _reference(ctx: Context, request: Request, in_place: Location | None) -> Version | None:
    if in_place is not None:
        return ctx.catalog.version(in_place.dataset, in_place.version)
    if not request.replica:
        return None
    return ctx.catalog.resolve(Reference(request.name))


def _main_algorithm(ctx: Context, request: Request, reference: Version | None) -> Algorithm:
    """Return the main digest: asked for, the dataset's, or the default; as strong as required."""
    needed = ctx.policy.digest.required_strength is Strength.ADVERSARIAL
    chosen = request.digest or (reference.algorithm if reference else None)
    if reference and request.digest and request.digest is not reference.algorithm:
        if not request.supersede:
            raise UsageError(
                f"{reference.reference} uses {reference.algorithm}, not {request.digest}",
                hint="add --supersede --reason ... to change the algorithm of the dataset, "
                f"or --also {request.digest} to record both",
            )
        chosen = request.digest
    if chosen is None:
        default = Algorithm(ctx.settings.digest.value)
        strong = default.strength is Strength.ADVERSARIAL
        chosen = default if strong or not needed else Algorithm.SHA256
    strengths = {a.strength for a in (chosen, *request.also)}
    if needed and Strength.ADVERSARIAL not in strengths:
        raise PolicyError(
            f"the policy `{ctx.policy.name}` asks for an adversarial digest, not {chosen}",
            hint="add --digest sha256, or --also sha256",
        )
    return chosen


def _with_expected(plan: DigestPlan, expect: Expectation | None) -> DigestPlan:
    if expect is None or expect.algorithm in plan.algorithms:
        return plan
    return DigestPlan(plan.main, (*plan.also, expect.algorithm))


def _scan(ctx: Context, task: _Task, draft: Draft) -> _Scan:
    scan = _Scan()
    entries = _entries(ctx, task, scan)
    if task.request.expect is not None:
        entries = _checked(entries, task.request.expect, scan)
    for batch in entries:
        scan.hazards += hazards(batch)
        scan.writers.add(batch)
        # Once something cannot be read there will be no version; the scan goes on to list all.
        if not scan.unreadable:
            draft.add(batch)
    return scan


def _entries(ctx: Context, task: _Task, scan: _Scan) -> Iterator[pa.RecordBatch]:
    """Yield observed entries with every digest, noting what differs from the reference."""
    if task.reference is None:
        for piece in task.store.scan(task.reads, read=True):
            _note(scan, piece.unreadable, piece.files_read, piece.bytes_read)
            ctx.progress.advance(piece.entries.num_rows, piece.bytes_read)
            yield piece.entries
        return
    reading = Reading(full=not task.baseline, baseline=task.baseline, extras=True)
    differences: list[Difference] = []
    for seen in observe(task.store, _expected(ctx, task), task.reads, reading, ctx.progress):
        _note(scan, seen.unreadable, seen.files_read, seen.bytes_read)
        differences += judge(seen.window, baseline=task.baseline, sheet=False)
        yield _with_known_digests(seen)
    scan.differences = list(merge_kind_changes(differences))


def _expected(ctx: Context, task: _Task) -> Iterator[pa.RecordBatch]:
    if task.reference is None:
        return iter(())
    root, algorithm = task.reference.root, task.reference.algorithm
    if task.baseline and task.in_place is not None and task.in_place.sheet is not None:
        return ctx.manifests.read_with_sheet(root, algorithm, task.in_place.sheet)
    return ctx.manifests.read(root, algorithm)


def _with_known_digests(seen: Observation) -> pa.RecordBatch:
    """Take the digests that the baseline vouches for from the manifest."""
    window = seen.window
    observed = window.right.column("digest")
    if not observed.null_count:
        return window.right
    rows = np.full(window.right.num_rows, -1, dtype=np.int64)
    rows[window.right_rows] = window.left_rows
    known = window.left.column("digest").take(pa.array(rows, mask=rows < 0))
    position = window.right.schema.get_field_index("digest")
    return window.right.set_column(position, "digest", pc.coalesce(observed, known))


def _checked(
    entries: Iterator[pa.RecordBatch], expect: Expectation, scan: _Scan
) -> Iterator[pa.RecordBatch]:
    # A BagIt manifest speaks of the payload below data/ only.
    paths = expect.rows.column("path").to_pylist()
    in_payload = all(path.startswith("data/") for path in paths)
    below = b"data/" if expect.exhaustive and in_payload else b""
    for window in align([expect.rows], entries):
        broken, unlisted = judge_expectation(window, expect, below=below)
        scan.broken += broken
        scan.unlisted += unlisted
        yield window.right


def _note(scan: _Scan, unreadable: tuple[Unreadable, ...], files: int, size: int) -> None:
    scan.unreadable.extend(unreadable)
    scan.hashed += files
    scan.bytes_read += size


def _refusal(ctx: Context, task: _Task, scan: _Scan) -> list[Finding]:
    """Return why no version is made; what cannot be read is said by the result itself."""
    name = task.request.name
    number = task.reference.number if task.reference else None
    if scan.unreadable:
        return unstable_findings(ctx, scan.unreadable, dataset=name, version=None)
    if scan.broken:
        return findings_of(ctx, scan.broken, dataset=name, version=None)
    if not scan.differences or task.request.supersede:
        return []
    only_added = all(difference.code is Code.DG103 for difference in scan.differences)
    if task.request.append and only_added:
        return []
    return findings_of(ctx, scan.differences, dataset=name, version=number)


def _record(ctx: Context, task: _Task, scan: _Scan, published: Published) -> RegisterResult:
    """Record a version whose manifest and sheets are durable."""
    request = task.request
    registration = Registration(
        dataset=request.name,
        root=published.root,
        algorithm=task.plan.main,
        entries=published.entries,
        files=published.files,
        bytes=published.bytes,
        place=task.place,
        sheet=published.sheet,
        filesystem=task.store.filesystem(),
        owner=request.owner or ctx.actor.user,
        note=request.note,
        exclude=task.exclude,
        digest_sheet=published.digest_sheet,
        metadata=request.metadata,
        append=request.append,
        supersede=request.supersede,
        reason=request.reason,
    )
    with ctx.catalog.transaction() as tx:
        version, created = tx.register(registration)
        if published.digest_sheet and version.digest_sheet != published.digest_sheet:
            tx.set_digest_sheet(version.dataset, version.number, published.digest_sheet)
        found = findings_of(ctx, scan.hazards, dataset=version.dataset, version=version.number)
        if found:
            tx.record_findings(found)
        tx.record_audit(_first_audit(ctx, task, scan, version, len(found)))
        if request.supersede and task.reference is not None:
            number = task.reference.number
            tx.resolve_absent(request.name, number, _CONTENT_CODES, set(), "superseded")
    return RegisterResult(
        dataset=version.dataset,
        version=version.number,
        root=str(version.root),
        created=created,
        files=version.files,
        bytes=version.bytes,
        algorithm=str(version.algorithm),
        strength=str(version.algorithm.strength),
        hashed=scan.hashed,
        location=task.place,
        manifest=ctx.manifests.manifest_path(version.root),
        findings=tuple(found),
        writers=_writers(scan.writers),
        expected=request.expect_name,
        unlisted=scan.unlisted,
        note=version.note,
    )


def _first_audit(
    ctx: Context, task: _Task, scan: _Scan, version: Version, findings: int
) -> AuditRecord:
    """Registering read everything, or trusted a baseline: a full or a quick audit."""
    full = scan.hashed == version.files
    return AuditRecord(
        dataset=version.dataset,
        version=version.number,
        location=task.place,
        level=AuditLevel.FULL if full else AuditLevel.QUICK,
        started=task.started,
        finished=ctx.clock(),
        complete=True,
        clean=True,
        checked_files=version.files,
        checked_bytes=scan.bytes_read,
        findings=findings,
        unreadable=0,
        actor=ctx.actor,
    )


def _result(
    ctx: Context, task: _Task, scan: _Scan, draft: Draft, *, refusal: list[Finding]
) -> RegisterResult:
    """Return the result of a request that recorded nothing."""
    refused = bool(refusal or scan.unreadable)
    _, files, size = draft.counts
    standing = task.reference if refused else None
    root = None if scan.unreadable else draft.root()
    hazard_findings = findings_of(ctx, scan.hazards, dataset=task.request.name, version=None)
    return RegisterResult(
        dataset=task.request.name,
        version=standing.number if standing and task.in_place else None,
        root=str(standing.root) if standing else (str(root) if root else None),
        created=False,
        files=files,
        bytes=size,
        algorithm=str(task.plan.main),
        strength=str(task.plan.main.strength),
        hashed=scan.hashed,
        location=task.place,
        manifest=ctx.manifests.manifest_path(standing.root) if standing else None,
        findings=tuple(refusal or hazard_findings),
        unreadable=tuple(scan.unreadable),
        writers=_writers(scan.writers),
        expected=task.request.expect_name,
        unlisted=scan.unlisted,
        dry_run=task.request.dry_run,
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
