"""Whether the inputs of a job are what their versions say, before and after it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dataguard.actions.comparison import Comparison, compare
from dataguard.core.sealing import is_notice
from dataguard.errors import DataguardError
from dataguard.model.audit import AuditLevel
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.model.finding import Code
from dataguard.stores.sightings import Sightings

if TYPE_CHECKING:
    from dataguard.actions.context import Context
    from dataguard.actions.inputs import JobInput
    from dataguard.model.dataset import Location, Version
    from dataguard.model.finding import Finding
    from dataguard.model.mount import MountRecord

__all__ = ["Verification", "changes_between", "verify"]

_HAZARDS = (Code.DG108, Code.DG109)


@dataclass(frozen=True, slots=True)
class Verification:
    """One comparison for each input: metadata against the baseline, content of suspects."""

    comparisons: tuple[Comparison, ...]

    @property
    def findings(self) -> Sightings:
        """What is wrong with the inputs."""
        return Sightings(finding for one in self.comparisons for finding in one.findings)

    @property
    def unreadable(self) -> tuple[Unreadable, ...]:
        """What could not be looked at."""
        return tuple(item for one in self.comparisons for item in one.unreadable)

    @property
    def is_complete(self) -> bool:
        """Whether everything could be looked at."""
        return not self.unreadable

    @property
    def is_clean(self) -> bool:
        """Whether every input is its version."""
        return all(one.is_clean for one in self.comparisons)

    def word(self, dataset: str, version: int) -> str:
        """Return what a run's record says about one input."""
        for one in self.comparisons:
            if (one.version.dataset, one.version.number) == (dataset, version):
                if not one.is_complete:
                    return "unchecked"
                return "verified" if one.is_clean else "changed"
        return "not checked"


def verify(ctx: Context, inputs: tuple[JobInput, ...], *, what: str) -> Verification:
    """Compare every input with its version, quickly; records nothing.

    The progress of it is shown as `what`.

    Raises:
        CatalogDamagedError: the manifest of an input is missing or damaged.
    """
    ctx.progress.start(what)
    try:
        return _verified(ctx, inputs)
    finally:
        ctx.progress.finish()


def _verified(ctx: Context, inputs: tuple[JobInput, ...]) -> Verification:
    comparisons = []
    for one in inputs:
        if one.version is not None and one.location is not None:
            comparison = _compared(ctx, one, one.version, one.location)
            if comparison.damage is not None:
                raise comparison.damage
            comparisons.append(comparison)
    return Verification(tuple(comparisons))


def _compared(ctx: Context, one: JobInput, version: Version, location: Location) -> Comparison:
    if one.served is not None:
        return _served(ctx, one.served, compare(ctx, version, location, level=AuditLevel.QUICK))
    if one.cache is None:
        return compare(ctx, version, location, level=AuditLevel.QUICK)
    from dataguard.actions.cachedinput import compare_cached  # noqa: PLC0415  for mounts of a cache

    return compare_cached(ctx, version, location)


def _served(ctx: Context, record: MountRecord, found: Comparison) -> Comparison:
    """Add what a mount could not give to what comparing the bucket showed.

    The notes of a server may be closed to this user, where somebody else mounted: unchecked then.
    """
    from dataguard.actions.mountfaults import faults_of  # noqa: PLC0415  for mounts of objects

    try:
        faults = faults_of(ctx, record)
    except DataguardError as err:
        gap = Unreadable(
            b"", Obstacle.DENIED, f"what {record.target} could not give: {err.message}"
        )
        return replace(found, unreadable=(*found.unreadable, gap))
    for fault in faults:
        found.findings.add_late(fault)
    return found


def changes_between(ctx: Context, before: Verification, after: Verification) -> Sightings:
    """Return a DG304 for each path that differs after the job and did not before."""
    known = {_compact(finding) for one in before.comparisons for finding in one.findings}
    severity = ctx.policy.severity_of(Code.DG304)
    return Sightings(
        replace(
            finding,
            code=Code.DG304,
            severity=severity,
            evidence={**finding.evidence, "difference": finding.code.name},
        )
        for one in after.comparisons
        for finding in one.findings
        if finding.code not in _HAZARDS
        and not is_notice(finding)
        and _compact(finding) not in known
    )


def _compact(finding: Finding) -> int:
    """Return a finding's id in little memory: there may be one for every file."""
    return int(finding.id.removeprefix("F-"), 16)
