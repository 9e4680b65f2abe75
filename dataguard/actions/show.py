"""`show`: everything about one version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.actions.leases import leases_of, tidy
from dataguard.core.objectplaces import is_objects
from dataguard.core.sealing import notice, seal_word
from dataguard.model.finding import FindingState
from dataguard.model.mount import Guarantee
from dataguard.model.reference import Reference
from dataguard.model.results.show import VersionDetails
from dataguard.model.seal import SealView

if TYPE_CHECKING:
    from dataguard.actions.context import Context
    from dataguard.model.canary import CanaryRecord
    from dataguard.model.dataset import Location

__all__ = ["show"]

_RUNS_SHOWN = 20


def show(ctx: Context, reference: str) -> VersionDetails:
    """Return a version with its locations, tags, mounts on all hosts, leases, audit and runs.

    Leases that ended with their host's last start are shown once more, and then forgotten.

    Raises:
        NotFoundError: the reference means nothing.
    """
    version = ctx.catalog.resolve(Reference.parse(reference))
    leases = leases_of(ctx, version)
    tidy(ctx, version)
    mounts = ctx.catalog.mounts(dataset=version.dataset, version=version.number)
    guarantees = [record.guarantee for record in mounts]
    weakest = min(guarantees, key=lambda guarantee: guarantee.rank, default=None)
    runs = ctx.catalog.runs(dataset=version.dataset, version=version.number)
    findings = ctx.catalog.findings(
        dataset=version.dataset,
        version=version.number,
        states=(FindingState.OPEN, FindingState.ACKNOWLEDGED),
    )
    locations = ctx.catalog.locations(version.dataset, version.number)
    seals = [found for one in locations if (found := ctx.catalog.seal(one.place)) is not None]
    return VersionDetails(
        version=version,
        locations=locations,
        tags=tuple(
            tag for tag in ctx.catalog.tags(version.dataset) if tag.version == version.number
        ),
        mounts=mounts,
        guarantee=str(Guarantee.NONE if weakest is None else weakest) if mounts else "not mounted",
        last_audit=ctx.catalog.last_audit(version.dataset, version.number),
        runs=tuple(sorted(runs, key=lambda run: run.started, reverse=True)[:_RUNS_SHOWN]),
        open_findings=sum(1 for _ in findings),
        seals=tuple(SealView(one, seal_word(one), notice(one, ctx.clock())) for one in seals),
        leases=leases,
        canaries=_canaries(ctx, locations),
    )


def _canaries(ctx: Context, locations: tuple[Location, ...]) -> tuple[CanaryRecord, ...]:
    places = dict.fromkeys(one.place for one in locations if is_objects(one.place))
    return tuple(record for place in places for record in ctx.catalog.canaries(place))
