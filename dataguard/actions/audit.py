"""`audit`: compare what is there with the manifest, and record what was found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dataguard.actions.findings import content_codes, findings_of, unstable_findings
from dataguard.actions.observation import Reading, observe
from dataguard.actions.places import open_store
from dataguard.actions.resolution import is_here
from dataguard.core.baseline import is_usable
from dataguard.core.clearance import standing_damage
from dataguard.core.columns import kind_mask
from dataguard.core.coverage import Gaps
from dataguard.core.membership import Membership
from dataguard.core.outcome import is_violation
from dataguard.core.verdicts import Difference, hazards, judge, merge_kind_changes
from dataguard.errors import NotFoundError, StoreUnreachableError, UsageError
from dataguard.model.audit import AuditLevel, AuditRecord
from dataguard.model.dataset import LocationState, VersionState
from dataguard.model.digest import DigestPlan
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.model.finding import Code
from dataguard.model.reference import Reference
from dataguard.model.results import AuditedVersion, AuditResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime, timedelta

    import numpy as np
    import pyarrow as pa

    from dataguard.actions.context import Context
    from dataguard.model.dataset import Location, Version
    from dataguard.model.finding import Finding
    from dataguard.stores.interface import Store

__all__ = ["Comparison", "audit", "compare", "is_only_location", "record_comparison", "targets"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one version at one location looked like; `baseline`: times could be compared."""

    version: Version
    location: Location
    level: AuditLevel
    started: datetime
    baseline: bool
    checked_files: int
    checked_bytes: int
    findings: tuple[Finding, ...]
    unreadable: tuple[Unreadable, ...]

    @property
    def is_complete(self) -> bool:
        """Whether everything could be looked at."""
        return not self.unreadable

    @property
    def is_clean(self) -> bool:
        """Whether everything was looked at and nothing of severity error was found."""
        return self.is_complete and not any(is_violation(finding) for finding in self.findings)


def audit(
    ctx: Context,
    references: tuple[str, ...],
    *,
    level: AuditLevel,
    max_age: timedelta | None = None,
    dry_run: bool = False,
) -> AuditResult:
    """Audit versions at all their locations and record audits and findings.

    Without references: every active and quarantined version. Versions with a complete audit of
    this level younger than `max_age` are left out. `dry_run` records nothing.

    Raises:
        NotFoundError: a reference means nothing.
    """
    done = []
    ctx.progress.start(f"{level} audit")
    try:
        for version, location in targets(ctx, references):
            if max_age is not None and _is_fresh(ctx, version, location, level, max_age):
                continue
            comparison = compare(ctx, version, location, level=level)
            if not dry_run:
                record_comparison(ctx, comparison)
            done.append(comparison)
    finally:
        ctx.progress.finish()
    return AuditResult(
        level=level,
        complete=all(one.is_complete for one in done),
        checked_files=sum(one.checked_files for one in done),
        checked_bytes=sum(one.checked_bytes for one in done),
        findings=tuple(finding for one in done for finding in one.findings),
        unreadable=tuple(item for one in done for item in one.unreadable),
        versions=tuple(_audited(one) for one in done),
    )


def targets(ctx: Context, references: tuple[str, ...]) -> Iterator[tuple[Version, Location]]:
    """Yield each meant version with each of its active locations.

    Raises:
        NotFoundError: a reference means nothing, or its version has no active location.
    """
    for version in _versions(ctx, references):
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
        for location in locations:
            yield version, location


def compare(ctx: Context, version: Version, location: Location, *, level: AuditLevel) -> Comparison:
    """Compare one location with the manifest of a version; records nothing."""
    started = ctx.clock()
    store = open_store(ctx, location.place, version.exclude)
    look = _Look()
    try:
        _check_here(ctx, location)
        baseline = location.sheet is not None and is_usable(location.filesystem, store.filesystem())
        _look(ctx, version, location, store, look, full=level is AuditLevel.FULL, baseline=baseline)
    except (NotFoundError, UsageError) as err:
        baseline = False
        look.differences.append(Difference(Code.DG102, b"", f"the location is gone: {err.message}"))
    except StoreUnreachableError as err:
        baseline = False
        look.unreadable.append(Unreadable(b"", Obstacle.IO_ERROR, err.message))
    found = findings_of(ctx, look.differences, dataset=version.dataset, version=version.number)
    found += unstable_findings(
        ctx, look.unreadable, dataset=version.dataset, version=version.number
    )
    return Comparison(
        version=version,
        location=location,
        level=level,
        started=started,
        baseline=baseline,
        checked_files=look.files,
        checked_bytes=look.bytes_read,
        findings=tuple(sorted(found, key=lambda finding: finding.path)),
        unreadable=tuple(look.unreadable),
    )


def _check_here(ctx: Context, location: Location) -> None:
    if not is_here(location, ctx.process.host):
        raise StoreUnreachableError(f"{location.place} is on another host")


@dataclass(slots=True)
class _Look:
    """What a comparison gathers; differences of one kind of severity do not end it."""

    differences: list[Difference] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    files: int = 0
    bytes_read: int = 0


def _look(
    ctx: Context,
    version: Version,
    location: Location,
    store: Store,
    look: _Look,
    *,
    full: bool,
    baseline: bool,
) -> None:
    sheet = location.sheet if baseline else None
    expected = _expected(ctx, version, sheet)
    reading = Reading(full=full, baseline=baseline)
    additions = _additions(ctx, version, location)
    gaps = Gaps()
    judged: list[Difference] = []
    for seen in observe(store, expected, DigestPlan(version.algorithm), reading, ctx.progress):
        gaps.add(seen.unreadable)
        look.unreadable.extend(_real_gaps(seen.unreadable))
        look.files += _files(seen.window.right, seen.window.right_rows)
        look.bytes_read += seen.bytes_read
        judged += judge(seen.window, baseline=baseline, sheet=sheet is not None)
        judged += hazards(seen.window.right)
    judged.sort(key=lambda difference: difference.path)
    look.differences += [
        difference
        for difference in merge_kind_changes(judged)
        if not gaps.explain(difference) and not _is_explained(difference, additions)
    ]


def _expected(ctx: Context, version: Version, sheet: str | None) -> Iterable[pa.RecordBatch]:
    if sheet is None:
        return ctx.manifests.read(version.root, version.algorithm)
    return ctx.manifests.read_with_sheet(version.root, version.algorithm, sheet)


def _additions(ctx: Context, version: Version, location: Location) -> Membership:
    """Return what was added at the same place since (`register --append`)."""
    here = (
        found.version
        for found in ctx.catalog.locations_at(location.place)
        if found.dataset == version.dataset
    )
    last = next(here, version.number)
    if last == version.number:
        return Membership(())
    newest = ctx.catalog.version(version.dataset, last)
    return Membership(ctx.manifests.read(newest.root, newest.algorithm))


def _is_explained(difference: Difference, additions: Membership) -> bool:
    return difference.code is Code.DG103 and additions.contains(difference.path)


def _real_gaps(unreadable: tuple[Unreadable, ...]) -> list[Unreadable]:
    """Leave out what vanished between listing and reading: it is missing, and said so."""
    return [item for item in unreadable if item.obstacle is not Obstacle.VANISHED]


def _files(entries: pa.RecordBatch, rows: np.ndarray) -> int:
    return int(kind_mask(entries, "f")[rows].sum())


def _versions(ctx: Context, references: tuple[str, ...]) -> Iterator[Version]:
    if references:
        for text in references:
            yield ctx.catalog.resolve(Reference.parse(text))
        return
    for version in ctx.catalog.versions():
        if version.state in (VersionState.ACTIVE, VersionState.QUARANTINED):
            yield version


def _is_fresh(
    ctx: Context, version: Version, location: Location, level: AuditLevel, max_age: timedelta
) -> bool:
    """Whether a clean audit of the level is young enough, and none since says otherwise."""
    audits = [
        audited
        for audited in ctx.catalog.audits(version.dataset, version.number)
        if audited.location == location.place
    ]
    if not audits or not audits[0].clean or standing_damage(audits) is not None:
        return False
    levels = (AuditLevel.FULL,) if level is AuditLevel.FULL else tuple(AuditLevel)
    return any(
        audited.clean and audited.level in levels and ctx.clock() - audited.finished < max_age
        for audited in audits
    )


def record_comparison(ctx: Context, done: Comparison) -> None:
    """Record a comparison as an audit, with its findings; resolve what was not seen again."""
    version = done.version
    audited = AuditRecord(
        dataset=version.dataset,
        version=version.number,
        location=done.location.place,
        level=done.level,
        started=done.started,
        finished=ctx.clock(),
        complete=done.is_complete,
        clean=done.is_clean,
        checked_files=done.checked_files,
        checked_bytes=done.checked_bytes,
        findings=len(done.findings),
        unreadable=len(done.unreadable),
        actor=ctx.actor,
    )
    with ctx.catalog.transaction() as tx:
        if done.findings:
            tx.record_findings(done.findings)
        tx.record_audit(audited)
        # A finding does not say at which location: with several, one that is clean proves nothing.
        if done.is_complete and is_only_location(ctx, version):
            seen = {finding.id for finding in done.findings}
            codes = content_codes(done.level)
            tx.resolve_absent(version.dataset, version.number, codes, seen, f"{done.level} audit")


def is_only_location(ctx: Context, version: Version) -> bool:
    """Whether a version has no more than one active location."""
    locations = ctx.catalog.locations(version.dataset, version.number)
    return sum(location.state is LocationState.ACTIVE for location in locations) < 2  # noqa: PLR2004  one or none


def _audited(done: Comparison) -> AuditedVersion:
    return AuditedVersion(
        dataset=done.version.dataset,
        version=done.version.number,
        root=str(done.version.root),
        location=done.location.place,
        complete=done.is_complete,
        clean=done.is_clean,
        baseline=done.baseline,
        checked_files=done.checked_files,
        checked_bytes=done.checked_bytes,
        findings=len(done.findings),
        unreadable=len(done.unreadable),
    )
