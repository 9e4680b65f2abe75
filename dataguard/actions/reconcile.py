"""Compares a watched place as a whole with its manifest, as a quick audit does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataguard.actions.comparison import compare
from dataguard.actions.findings import content_codes
from dataguard.actions.recording import BATCH, is_only_location, resolve_stale
from dataguard.core.objectplaces import is_objects
from dataguard.model.audit import AuditLevel
from dataguard.model.finding import Code, fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from dataguard.actions.comparison import Comparison
    from dataguard.actions.context import Context
    from dataguard.actions.watched import OpenAreas, Watched
    from dataguard.model.entry import Unreadable
    from dataguard.model.finding import Finding

__all__ = ["Reconciled", "reconcile", "resolve_gone"]

_OF_OBJECTS = (Code.DG601, Code.DG602, Code.DG603)
_WRITTEN = (Code.DG301, *content_codes(AuditLevel.QUICK))
_MADE_GOOD = (Code.DG901, Code.DG903)


@dataclass(frozen=True, slots=True)
class Reconciled:
    """One whole comparison: what could not be looked at, and the ids of what still differs."""

    watched: Watched
    started: datetime
    duration_s: float
    checked_files: int
    checked_bytes: int
    unreadable: tuple[Unreadable, ...]
    standing: frozenset[str]
    damage: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether everything could be looked at."""
        return not self.unreadable and not self.damage


def reconcile(
    ctx: Context,
    watched: Watched,
    areas: OpenAreas,
    each: Callable[[Sequence[Finding]], None],
    *,
    timer: Callable[[], float],
) -> Reconciled:
    """Give `each` all findings of a place in batches; records nothing.

    Raises:
        DataguardError: the catalog cannot be read.
    """
    place = watched.location.place
    if is_objects(place):
        from dataguard.actions.bucketwatch import reconcile_bucket  # noqa: PLC0415  few need it

        return reconcile_bucket(ctx, watched, areas, each, timer=timer)
    began, standing = timer(), set[str]()

    def take(findings: Sequence[Finding]) -> None:
        kept = [one for one in findings if not areas.holds(place, one.path)]
        standing.update(_ids(kept))
        if kept:
            each(kept)

    done = compare(
        ctx, watched.version, watched.location, level=AuditLevel.QUICK, each=take, touches=True
    )
    rest = list(done.findings.since(done.recorded))
    for start in range(0, len(rest), BATCH):
        take(rest[start : start + BATCH])
    return _result(watched, done, timer() - began, standing)


def resolve_gone(ctx: Context, done: Reconciled, *, seeing: bool, has_events: bool = False) -> None:
    """Resolve what a complete comparison did not see again, and the gaps that it made good.

    A part that is not watched (DG902) is made good only where the source is `seeing` again; that a
    place has no events (DG904), where it `has_events` now.
    """
    version = done.watched.version
    if not done.is_complete:
        return
    objects = is_objects(done.watched.location.place)
    codes: tuple[Code, ...] = (*_MADE_GOOD, Code.DG902) if seeing else _MADE_GOOD
    alone = is_only_location(ctx, version)
    if alone:
        codes += _WRITTEN
        if objects:
            codes += _OF_OBJECTS
    if has_events and (objects or alone):
        codes += (Code.DG904,)
    resolve_stale(
        ctx,
        version.dataset,
        version.number,
        codes,
        "watch: everything was compared",
        before=done.started,
        seen=done.standing,
    )


def _ids(findings: Sequence[Finding]) -> set[str]:
    """Return the ids of findings, and of the writes that a watcher would have reported."""
    return {
        fingerprint(code, one.dataset, one.version, one.path)
        for one in findings
        for code in (one.code, Code.DG301)
    }


def _result(
    watched: Watched, done: Comparison, duration_s: float, standing: set[str]
) -> Reconciled:
    return Reconciled(
        watched=watched,
        started=done.started,
        duration_s=duration_s,
        checked_files=done.checked_files,
        checked_bytes=done.checked_bytes,
        unreadable=done.unreadable,
        standing=frozenset(standing),
        damage="" if done.damage is None else done.damage.message,
    )
