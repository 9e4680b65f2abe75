"""Compares one location with the manifest of a version, or one slice of it."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, cast

from dataguard.actions.findings import finding_of
from dataguard.actions.observation import Reading, observe
from dataguard.actions.places import open_store
from dataguard.actions.recording import BATCH
from dataguard.actions.resolution import is_readable
from dataguard.actions.sealwatch import SealWatch
from dataguard.core.baseline import is_usable
from dataguard.core.columns import content_of, kind_mask, raw_paths
from dataguard.core.coverage import Gaps
from dataguard.core.membership import Membership
from dataguard.core.objectplaces import is_objects
from dataguard.core.slicing import cut, rows_in
from dataguard.core.touches import touched
from dataguard.core.verdicts import Difference, hazards, judge, merge_kind_changes
from dataguard.errors import (
    CatalogDamagedError,
    NotFoundError,
    StoreUnreachableError,
    UsageError,
)
from dataguard.model.audit import AuditLevel
from dataguard.model.dataclass import dataclass
from dataguard.model.digest import DigestPlan
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.model.finding import Code
from dataguard.model.span import WHOLE, Span
from dataguard.stores.sightings import Sightings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    import pyarrow as pa

    from dataguard.actions.audittargets import Begun
    from dataguard.actions.bucketpolicy import PolicyLook
    from dataguard.actions.context import Context
    from dataguard.core.align import Window
    from dataguard.model.audit import Slice
    from dataguard.model.dataset import Location, Version
    from dataguard.model.finding import Finding
    from dataguard.stores.interface import Store
    from dataguard.stores.objects import ObjectStore

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one version at one location looked like, or what a slice of it (`span`) did.

    `baseline`: times could be compared. The first `recorded` findings are in the catalog already.
    `damage`: the manifest or its sheet cannot be trusted, so nothing could be checked. `policy` is
    what is known of a bucket's policy document.
    """

    version: Version
    location: Location
    level: AuditLevel
    span: Span
    started: datetime
    baseline: bool
    checked_files: int
    checked_bytes: int
    findings: Sightings
    unreadable: tuple[Unreadable, ...]
    recorded: int = 0
    damage: CatalogDamagedError | None = None
    policy: PolicyLook | None = None

    @property
    def is_complete(self) -> bool:
        """Whether everything could be looked at."""
        return not self.unreadable

    @property
    def is_clean(self) -> bool:
        """Whether everything was looked at and nothing of severity error was found."""
        return self.is_complete and not self.findings.violations


def compare(
    ctx: Context,
    version: Version,
    location: Location,
    *,
    level: AuditLevel,
    part: Slice | None = None,
    each: Callable[[Sequence[Finding]], None] | None = None,
    begun: Begun | None = None,
    touches: bool = False,
    policies: bool = False,
) -> Comparison:
    """Compare one location, or one slice of it, with the manifest of a version.

    Memory does not grow with the findings. With `touches` files that the kernel says were touched
    are differences too, whatever they hold. `each` is given them in full batches as they are
    found, the manifest being verified before the first; what is left at the end is not given.
    Where this look was `begun` already, it is gone on with. With `policies` the policy document of
    a bucket is compared too, from the quick level on.
    """
    if begun is not None and (version, location) != (begun.version, begun.location):
        begun = None
    started = ctx.clock() if begun is None else begun.started
    store = None if begun is None else begun.store
    look = _Look(
        ctx,
        version,
        location,
        level,
        part,
        started,
        streamed=each is not None,
        begun=store,
        touches=touches,
        policies=policies,
    )
    found = Sightings()
    batch: list[Finding] = []
    recorded = 0
    for difference in look.differences():
        batch.append(look.finding(difference))
        found.add(batch[-1])
        if len(batch) == BATCH:
            if each is not None:
                each(batch)
                recorded += BATCH
            batch.clear()
    if look.damage is not None and not recorded:
        found = Sightings()  # without a manifest to trust, none of them means anything
    for item in look.unreadable:
        if item.obstacle is Obstacle.UNSTABLE:
            found.add_late(look.finding(Difference(Code.DG106, item.path, item.detail)))
    return look.comparison(found, recorded)


@dataclass(slots=True)
class _Look:
    """One comparison on its way: what is asked, and what was seen beside the differences."""

    ctx: Context
    version: Version
    location: Location
    level: AuditLevel
    part: Slice | None
    started: datetime
    streamed: bool
    begun: Store | None = None
    touches: bool = False
    policies: bool = False
    span: Span = WHOLE
    baseline: bool = False
    unreadable: list[Unreadable] = field(default_factory=list)
    files: int = 0
    bytes_read: int = 0
    damage: CatalogDamagedError | None = None
    policy: PolicyLook | None = None

    def differences(self) -> Iterator[Difference]:
        """Yield what differs, in path order; what keeps from looking becomes a gap."""
        try:
            yield from self._trusted(self._differences())
        except (NotFoundError, UsageError) as err:
            self.baseline = False
            yield Difference(Code.DG102, b"", f"the location is gone: {err.message}")
        except StoreUnreachableError as err:
            self.baseline = False
            self.unreadable.append(Unreadable(b"", Obstacle.IO_ERROR, err.message))
        except CatalogDamagedError as err:
            self.damage = err
            detail = f"{self.version.reference}: {err.message}"
            self.unreadable.append(Unreadable(b"", Obstacle.IO_ERROR, detail))

    def finding(self, difference: Difference) -> Finding:
        """Return a difference as a finding of the version, never older than this look."""
        now = max(self.ctx.clock(), self.started)
        return finding_of(self.ctx, difference, self.version.dataset, self.version.number, now)

    def comparison(self, findings: Sightings, recorded: int) -> Comparison:
        """Return what came of it."""
        return Comparison(
            version=self.version,
            location=self.location,
            level=self.level,
            span=self.span,
            started=self.started,
            baseline=self.baseline,
            checked_files=self.files,
            checked_bytes=self.bytes_read,
            findings=findings,
            unreadable=tuple(self.unreadable),
            recorded=recorded,
            damage=self.damage,
            policy=self.policy,
        )

    def _trusted(self, differences: Iterator[Difference]) -> Iterator[Difference]:
        """Verify the manifest before the first batch of differences is full.

        Its reader knows only at the end whether it was the right one, and findings that were
        recorded stay.
        """
        verified = not self.streamed or self.part is not None  # cutting it read it to the end
        for number, difference in enumerate(differences, 1):
            if number == BATCH and not verified:
                self.ctx.manifests.verify(self.version.root, self.version.algorithm)
            yield difference

    def _differences(self) -> Iterator[Difference]:
        location, version = self.location, self.version
        if not is_readable(location, self.ctx.process.host):
            raise StoreUnreachableError(f"{location.place} is on another host")
        store = self._store()
        if is_objects(location.place):
            yield from self._of_objects(cast("ObjectStore", store))
            return
        usable = is_usable(location.filesystem, store.filesystem())
        self.baseline = location.sheet is not None and usable
        if self.part is not None:
            self.span = self._cut(self.part)
        gaps, additions = Gaps(), _additions(self.ctx, version, location)
        watch = SealWatch(self.ctx, location, self.level)
        yield from watch.notices()
        judged = self._judged(store, gaps, watch)
        for difference in merge_kind_changes(judged, beyond=self._beyond(store)):
            explained = difference.code is Code.DG103 and additions.contains(difference.path)
            if not explained and not gaps.explain(difference):
                yield difference

    def _of_objects(self, store: ObjectStore) -> Iterator[Difference]:
        """Yield what a bucket says of what is pinned in it: keys are no tree of directories."""
        from dataguard.actions.objectaudit import ObjectAudit  # noqa: PLC0415  for buckets alone

        self.baseline = self.location.sheet is not None
        if self.part is not None:
            self.span = self._cut(self.part)
        gaps, additions = Gaps(), _additions(self.ctx, self.version, self.location)
        expected = rows_in(self._expected(self.location.sheet), self.span)
        audit = ObjectAudit(
            self.ctx, self.version, self.location, self.level, store, policies=self.policies
        )
        for piece in audit.pieces(expected, self.span):
            self.policy = audit.policy
            gaps.add(one for one in piece.unreadable if one.path)
            self.unreadable.extend(_real_gaps(tuple(piece.unreadable)))
            self.files += piece.files
            self.bytes_read += piece.bytes_read
            for difference in piece.differences:
                explained = difference.code is Code.DG103 and additions.contains(difference.path)
                if not explained and not gaps.explain(difference):
                    yield difference

    def _store(self) -> Store:
        if self.begun is not None:
            return self.begun
        # Whoever audits now and then must not push what jobs work with out of memory.
        polite = self.level is AuditLevel.FULL
        return open_store(self.ctx, self.location.place, self.version.exclude, polite=polite)

    def _judged(self, store: Store, gaps: Gaps, watch: SealWatch) -> Iterator[Difference]:
        sheet = self.location.sheet if self.baseline else None
        expected = rows_in(self._expected(sheet), self.span)
        reading = Reading(full=self.level is AuditLevel.FULL, baseline=self.baseline)
        plan = DigestPlan(self.version.algorithm)
        for seen in observe(store, expected, plan, reading, self.ctx.progress, span=self.span):
            gaps.add(seen.unreadable)
            self.unreadable.extend(_real_gaps(seen.unreadable))
            self.files += _files(seen.window)
            self.bytes_read += seen.bytes_read
            found = judge(seen.window, baseline=self.baseline, sheet=sheet is not None)
            found += watch.lost(seen.window, baseline=self.baseline)
            if self.touches and sheet is not None:
                found += touched(seen.window, beside={one.path for one in found})
            found += hazards(seen.window.right)
            yield from sorted(found, key=lambda difference: difference.path)

    def _expected(self, sheet: str | None) -> Iterator[pa.RecordBatch]:
        version, manifests = self.version, self.ctx.manifests
        if sheet is None:
            return manifests.read(version.root, version.algorithm)
        return manifests.read_with_sheet(version.root, version.algorithm, sheet)

    def _cut(self, part: Slice) -> Span:
        """Return the paths of a slice: every task that asks for it computes the same."""
        spans = cut(
            self._expected(None),
            part.count,
            entries=self.version.entries,
            size=self.version.bytes,
            full=self.level is AuditLevel.FULL,
        )
        return spans[part.index - 1]

    def _beyond(self, store: Store) -> Callable[[Difference], bool]:
        """Return what looks past the end of a slice for the other half of a change of kind."""
        through, plan = self.span.through, DigestPlan(self.version.algorithm)

        def holds(difference: Difference) -> bool:
            below = difference.path + b"/"
            end = difference.path + b"0"  # `0` follows `/`
            if through is None or end <= through:
                return False
            rest = Span(max(through, below), end)
            batches: Iterable[pa.RecordBatch]
            if difference.code is Code.DG103:
                batches = rows_in(self._expected(None), rest)
            else:
                batches = (one.entries for one in store.scan(plan, read=False, span=rest))
            paths = (path for batch in batches for path in raw_paths(batch).to_pylist())
            return any(path.startswith(below) for path in paths)

        return holds


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


def _real_gaps(unreadable: tuple[Unreadable, ...]) -> list[Unreadable]:
    """Leave out what vanished between listing and reading: it is missing, and said so."""
    return [item for item in unreadable if item.obstacle is not Obstacle.VANISHED]


def _files(window: Window) -> int:
    """Return how many files of a window have a partner."""
    if window.is_paired:
        return bytes(content_of(window.right.column("kind"))).count(b"f")
    return int(kind_mask(window.right, "f")[window.right_rows].sum())
