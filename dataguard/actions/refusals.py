"""What was refused to a job: gathered from the sources that this run had, findings where gold."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dataguard.core.areas import gold_area
from dataguard.core.attempts import GoldRoot, told
from dataguard.errors import DataguardError
from dataguard.model.attempt import Observable, Observation, Source
from dataguard.model.finding import Code
from dataguard.model.mount import Backend, MountState
from dataguard.mounts import mountinfo
from dataguard.mounts.aliases import aliases_of
from dataguard.mounts.attempts import LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dataguard.actions.context import Context
    from dataguard.actions.inputs import JobInput
    from dataguard.model.attempt import Attempts
    from dataguard.model.finding import Finding
    from dataguard.model.mount import MountRecord
    from dataguard.model.placement import Places

__all__ = ["Served", "refused_writes"]

_SERVED = "all that anybody tries through {} is seen, and nothing beside it"


class Served:
    """The mounts of a job's inputs that a server of ours serves, and what it refuses meanwhile."""

    def __init__(self, ctx: Context, inputs: Iterable[JobInput]) -> None:
        paths = {one.path for one in inputs}
        self._state = os.path.join(ctx.settings.home.value, "state")
        records = [
            record
            for record in ctx.catalog.mounts(host=ctx.process.host)
            if record.backend is Backend.FUSE
            and record.state is MountState.ACTIVE
            and record.target in paths
        ]
        self._targets = [record.target for record in records]
        self._unseen = {
            record.target: reason for record in records if (reason := _report(ctx, record))
        }

    def observations(self) -> Iterator[Observation]:
        """Yield what each mount refused since this value was made."""
        for target in self._targets:
            if target in self._unseen:
                yield Observation(Source("fuse", Observable.NO, self._unseen[target]))
            else:
                yield self._observation(target)

    def _observation(self, target: str) -> Observation:
        from dataguard.mounts.fuse import FuseBackend  # noqa: PLC0415  few have such mounts

        try:
            made = FuseBackend(self._state).take_attempts(target)
        except DataguardError as err:
            return Observation(Source("fuse", Observable.NO, err.message))
        lost = 0 if len(made) < LIMIT else None
        source = Source("fuse", Observable.PARTLY, _SERVED.format(target), len(made), lost)
        root = os.fsencode(target)
        return Observation(source, tuple(one.at(os.path.join(root, one.path)) for one in made))


def _report(ctx: Context, record: MountRecord) -> str:
    """Record what a mount refused until now, which is not the job's; returns why it cannot be seen.

    The notes of a mount that somebody else made are theirs.
    """
    from dataguard.actions.mountproof import report_attempts  # noqa: PLC0415  few have such mounts

    try:
        report_attempts(ctx, record)
    except DataguardError as err:
        return err.message
    return ""


def refused_writes(
    ctx: Context,
    inputs: Iterable[JobInput],
    observations: Iterable[Observation],
    places: Places,
) -> tuple[Attempts, tuple[Finding, ...]]:
    """Return what is known of writes that were refused to a job, and findings of those in gold."""
    observed = tuple(observations)
    are_any = any(one.attempts for one in observed)
    roots = tuple(dict.fromkeys(_roots(ctx, inputs))) if are_any else ()
    return told(
        observed,
        roots,
        ctx.policy.severity_of(Code.DG302),
        lambda path: gold_area((path,), ctx.policy, places) is not None,
    )


def _roots(ctx: Context, inputs: Iterable[JobInput]) -> Iterator[GoldRoot]:
    """Yield the paths of all versions, those of the job's inputs first."""
    table = mountinfo.read()
    for one in inputs:
        if one.version is not None and one.location is not None:
            for path in (one.location.place, one.path, one.target or one.path):
                yield GoldRoot(os.path.realpath(path), one.version.dataset, one.version.number)
    for location in ctx.catalog.active_locations():
        for path in aliases_of(location.place, table=table):
            yield GoldRoot(path, location.dataset, location.version)
