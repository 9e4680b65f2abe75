"""`audit --merge`: makes one audit of slices that independent tasks looked at."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from dataguard.actions.audit import Audited, protection
from dataguard.actions.audittargets import targets
from dataguard.actions.findings import content_codes, every_finding
from dataguard.actions.recording import record_audit
from dataguard.core.objectplaces import is_objects
from dataguard.errors import ConflictError
from dataguard.model.audit import AuditLevel, AuditRecord
from dataguard.model.dataclass import dataclass
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.model.finding import FindingState
from dataguard.model.policy import Lock
from dataguard.model.results.audit import AuditedVersion
from dataguard.model.span import WHOLE
from dataguard.stores.sightings import Sightings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from dataguard.actions.context import Context
    from dataguard.catalog.writing import Transaction
    from dataguard.model.audit import SliceRecord
    from dataguard.model.dataset import Location, Version
    from dataguard.model.finding import Finding
    from dataguard.model.results.audit import AuditResult

__all__ = ["SLICES_AGE", "merge"]

SLICES_AGE = timedelta(days=7)
"""How much earlier than the newest slice another one may have begun, to be of the same audit."""


def merge(
    ctx: Context,
    references: tuple[str, ...],
    *,
    level: AuditLevel,
    max_age: timedelta | None = None,
    dry_run: bool = False,
) -> AuditResult:
    """Merge the slices of each meant version, at each location, into an audit.

    Where slices are missing, they are named, nothing is recorded, and the result is incomplete.
    After a complete audit its slices are forgotten; before, those that left gaps may be looked at
    again. `dry_run` records nothing.

    Raises:
        ConflictError: somebody looked at a slice again, or merged them, at the same time.
        NotFoundError: a reference means nothing.
    """
    audited = Audited(level, locks=ctx.policy.objects.lock is not Lock.NONE)
    for version, location in targets(ctx, references, level, max_age):
        if location is None:
            audited.add_unplaced(version)
            continue
        done = level.at(objects=is_objects(location.place))
        slices = _slices(ctx, version, location, done)
        findings = Sightings(_seen(ctx, version, slices))
        if slices.is_all and not dry_run:
            _record(ctx, slices, findings)
        outcome = replace(
            _outcome(version, location, slices, findings),
            level=done,
            proves=audited.proof_at(location, done),
            protection=protection(ctx, location, done),
        )
        audited.add(outcome, findings, slices.gaps(version))
    return audited.result()


@dataclass(frozen=True, slots=True)
class _Slices:
    """The newest slices of one audit, by number, and the numbers of those that are not there."""

    present: tuple[SliceRecord, ...]
    missing: tuple[int, ...]

    @property
    def is_all(self) -> bool:
        return bool(self.present) and not self.missing

    @property
    def is_complete(self) -> bool:
        return self.is_all and all(one.complete for one in self.present)

    @property
    def is_clean(self) -> bool:
        return self.is_complete and all(one.clean for one in self.present)

    @property
    def started(self) -> datetime:
        return min(one.started for one in self.present)

    def seen_from(self, path: bytes) -> datetime | None:
        """Return since when what is at a path was looked at; None where it was not.

        What concerns the version as a whole, every slice sees.
        """
        starts = [one.started for one in self.present if not path or one.span.contains(path)]
        return min(starts, default=None)

    def gaps(self, version: Version) -> tuple[Unreadable, ...]:
        """Return what could not be checked, each once: several slices may see one directory."""
        found = dict.fromkeys(gap for one in self.present for gap in one.gaps)
        if self.missing:
            words = ", ".join(f"{number}/{self.present[0].count}" for number in self.missing)
            detail = f"{version.reference}: slices that were not audited: {words}"
        elif not self.present:
            detail = f"{version.reference}: no slice of it was audited"
        else:
            return tuple(found)
        return (*found, Unreadable(b"", Obstacle.ABSENT, detail))


def _slices(ctx: Context, version: Version, location: Location, level: AuditLevel) -> _Slices:
    """Return the slices of the newest audit in slices: as many as its newest slice says."""
    known = [
        one
        for one in ctx.catalog.slices(version.dataset, version.number)
        if (one.location, one.level) == (location.place, level)
    ]
    if not known:
        return _Slices((), ())
    newest = max(known, key=lambda one: one.started)
    present = {
        one.index: one
        for one in known
        if one.count == newest.count and newest.started - one.started <= SLICES_AGE
    }
    for number in _apart(present, newest.count):
        present.pop(number, None)
    numbers = range(1, newest.count + 1)
    return _Slices(
        tuple(present[number] for number in numbers if number in present),
        tuple(number for number in numbers if number not in present),
    )


def _apart(slices: Mapping[int, SliceRecord], count: int) -> set[int]:
    """Return the slices that leave a gap to a neighbour or share paths with one.

    Each version of dataguard cuts in its own way: slices of two of them are no whole. Whatever
    could not be cut, because nothing was there to look at, joins everything.
    """
    was_cut = {number: one for number, one in slices.items() if one.span != WHOLE}
    ends = {number: one.through for number, one in was_cut.items()} | {0: b""}
    starts: dict[int, bytes | None] = {number: one.after for number, one in was_cut.items()}
    starts[count + 1] = None
    return {
        one
        for number in range(count + 1)
        if number in ends and number + 1 in starts and ends[number] != starts[number + 1]
        for one in (number, number + 1)
    }


def _seen(ctx: Context, version: Version, slices: _Slices) -> Iterator[Finding]:
    """Yield what the slices found, in path order, as the catalog has it."""
    if not slices.present:
        return
    states = (FindingState.OPEN, FindingState.ACKNOWLEDGED)
    codes = content_codes(AuditLevel.FULL)
    key = (version.dataset, version.number)
    for finding in every_finding(ctx, *key, states=states, seen_from=slices.started):
        start = slices.seen_from(finding.path)
        if finding.code in codes and start is not None and finding.last_seen >= start:
            yield finding


def _record(ctx: Context, slices: _Slices, findings: Sightings) -> None:
    present = slices.present
    audited = AuditRecord(
        dataset=present[0].dataset,
        version=present[0].version,
        location=present[0].location,
        level=present[0].level,
        started=slices.started,
        finished=max(one.finished for one in present),
        complete=slices.is_complete,
        clean=slices.is_clean,
        checked_files=sum(one.checked_files for one in present),
        checked_bytes=sum(one.checked_bytes for one in present),
        findings=len(findings),
        unreadable=sum(one.unreadable for one in present),
        actor=ctx.actor,
    )

    def is_unseen(finding: Finding) -> bool:
        start = slices.seen_from(finding.path)
        return start is not None and finding.last_seen < start

    def forget(tx: Transaction) -> None:
        known = tx.slices(audited.dataset, audited.version)
        if any(one not in known for one in present):
            raise ConflictError(
                f"slices of {audited.dataset}@{audited.version} were looked at or merged meanwhile",
                hint="run the same command again",
            )
        if slices.is_complete:
            tx.forget_slices(present)

    newest = max(one.started for one in present)
    record_audit(ctx, audited, (), newest, is_unseen=is_unseen, also=forget)


def _outcome(
    version: Version, location: Location, slices: _Slices, findings: Sightings
) -> AuditedVersion:
    present = slices.present
    return AuditedVersion(
        dataset=version.dataset,
        version=version.number,
        root=str(version.root),
        location=location.place,
        complete=slices.is_complete,
        clean=slices.is_clean,
        baseline=bool(present) and all(one.baseline for one in present),
        checked_files=sum(one.checked_files for one in present),
        checked_bytes=sum(one.checked_bytes for one in present),
        findings=len(findings),
        unreadable=sum(one.unreadable for one in present),
        reason=None if slices.is_all else "slices are missing",
        slices=len(present) + len(slices.missing),
        missing_slices=slices.missing,
    )
