"""`audit`: compare what is there with the manifest, and record what was found."""

from __future__ import annotations

from dataclasses import field
from functools import partial
from typing import TYPE_CHECKING

from dataguard.actions.audittargets import meant, targets
from dataguard.actions.comparison import compare
from dataguard.actions.mountaudit import MountAudit, audit_mounts
from dataguard.actions.recording import record_batch, record_comparison, record_slice
from dataguard.core.auditproof import what_is_proven
from dataguard.core.canary import NO_CANARY, protection_words
from dataguard.core.objectplaces import is_objects
from dataguard.model.audit import AuditLevel
from dataguard.model.dataclass import dataclass
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.model.policy import Lock
from dataguard.model.results.audit import AuditedVersion, AuditResult
from dataguard.stores.sightings import Sightings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

    from dataguard.actions.audittargets import Begun
    from dataguard.actions.comparison import Comparison
    from dataguard.actions.context import Context
    from dataguard.model.audit import Slice, SliceRecord
    from dataguard.model.dataset import Location, Version
    from dataguard.model.finding import Finding

__all__ = ["Audited", "audit", "protection"]


def audit(
    ctx: Context,
    references: tuple[str, ...],
    *,
    level: AuditLevel,
    max_age: timedelta | None = None,
    part: Slice | None = None,
    dry_run: bool = False,
    begun: Begun | None = None,
) -> AuditResult:
    """Audit versions at all their locations, or one slice of each; record audits and findings.

    Without references: every active and quarantined version. Versions with a complete audit of
    this level younger than `max_age` are left out. `dry_run` records nothing. A damaged manifest
    keeps no other version from being audited. What was `begun` is gone on with. The mounts on
    this host are looked at too, unless a slice is audited, which any host may do.

    Raises:
        NotFoundError: a reference means nothing.
    """
    audited = Audited(level, part, locks=ctx.policy.objects.lock is not Lock.NONE)
    ctx.progress.start(f"{level} audit")
    try:
        for version, location in targets(ctx, references, level, max_age):
            if location is None:
                audited.add_unplaced(version)
            else:
                done, record = _audited(
                    ctx, version, location, level, part, dry_run=dry_run, begun=begun
                )
                audited.add_comparison(done, record, protection(ctx, location, level))
    finally:
        ctx.progress.finish()
    if part is None:
        audited.add_mounts(audit_mounts(ctx, meant(ctx, references), dry_run=dry_run))
    return audited.result()


@dataclass(slots=True)
class Audited:
    """What an audit came to so far, over all versions."""

    level: AuditLevel
    part: Slice | None = None
    locks: bool = False
    findings: Sightings = field(default_factory=Sightings)
    unreadable: list[Unreadable] = field(default_factory=list)
    versions: list[AuditedVersion] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    mounts: MountAudit = field(default_factory=MountAudit)

    def add_unplaced(self, version: Version) -> None:
        """Take note of a version that is nowhere: what cannot be checked is never fine."""
        detail = f"{version.reference} has no active location"
        self.unreadable.append(Unreadable(b"", Obstacle.ABSENT, detail))
        self.versions.append(
            AuditedVersion(
                dataset=version.dataset,
                version=version.number,
                root=str(version.root),
                location="",
                complete=False,
                clean=False,
                baseline=False,
                checked_files=0,
                checked_bytes=0,
                findings=0,
                unreadable=1,
                reason="no active location",
            )
        )

    def add_comparison(
        self, done: Comparison, part: SliceRecord | None, protection: tuple[str, ...] = ()
    ) -> None:
        """Take what one location looked like, and the record of the slice if it was one."""
        if done.damage is not None:
            self.damaged.append(f"{done.version.reference}: {done.damage.message}")
        self.add(
            AuditedVersion(
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
                reason=None if done.damage is None else done.damage.message,
                part=part,
                level=done.level,
                proves=self.proof_at(done.location, done.level),
                protection=protection if done.policy is None else (*protection, done.policy.words),
                policy_document=None if done.policy is None else done.policy.digest,
            ),
            done.findings,
            done.unreadable,
        )

    def add(
        self,
        version: AuditedVersion,
        findings: Iterable[Finding],
        unreadable: Iterable[Unreadable],
    ) -> None:
        """Take one version at one location with what was found there."""
        self.versions.append(version)
        self.unreadable.extend(unreadable)
        for finding in findings:
            self.findings.add(finding)

    def proof_at(self, location: Location, level: AuditLevel) -> str:
        """Return in one sentence what a clean audit of this level shows at a location."""
        place, objects = location.place, location.objects
        return what_is_proven(
            level, is_objects=is_objects(place), objects=objects, locks=self.locks
        )

    def add_mounts(self, mounts: MountAudit) -> None:
        """Take what became of mounts."""
        self.mounts = mounts
        self.unreadable.extend(mounts.unreadable)
        for finding in mounts.findings:
            self.findings.add_late(finding)

    @property
    def done(self) -> AuditLevel:
        """The least level of what was looked at."""
        done = [one.level for one in self.versions if one.level is not None]
        return min(done, key=list(AuditLevel).index, default=self.level.at(objects=False))

    def result(self) -> AuditResult:
        """Return all of it."""
        return AuditResult(
            level=self.done,
            complete=all(one.complete for one in self.versions) and not self.mounts.unreadable,
            checked_files=sum(one.checked_files for one in self.versions),
            checked_bytes=sum(one.checked_bytes for one in self.versions),
            findings=self.findings,
            unreadable=tuple(sorted(self.unreadable, key=lambda item: item.path)),
            versions=tuple(self.versions),
            slice=None if self.part is None else str(self.part),
            damaged=tuple(self.damaged),
            level_number=self.done.number,
        )


def protection(ctx: Context, location: Location, level: AuditLevel) -> tuple[str, ...]:
    """Return what canaries proved of who can write there, and when: an audit sends none."""
    if not is_objects(location.place) or level is AuditLevel.LISTING:
        return ()
    records = ctx.catalog.canaries(location.place)
    max_age, now = ctx.policy.objects.canary_max_age, ctx.clock()
    return tuple(protection_words(one, max_age, now) for one in records) or (NO_CANARY,)


def _audited(
    ctx: Context,
    version: Version,
    location: Location,
    level: AuditLevel,
    part: Slice | None,
    *,
    dry_run: bool,
    begun: Begun | None,
) -> tuple[Comparison, SliceRecord | None]:
    """Compare one location and record what was found, while it is found."""
    level = level.at(objects=is_objects(location.place))
    each = None if dry_run else partial(record_batch, ctx)
    done = compare(
        ctx, version, location, level=level, part=part, each=each, begun=begun, policies=True
    )
    if dry_run:
        return done, None
    if part is not None:
        return done, record_slice(ctx, done, part)
    record_comparison(ctx, done)
    return done, None
