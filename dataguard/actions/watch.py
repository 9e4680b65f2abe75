"""`watch`: events to findings as they happen, or one whole look; says what it covers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from dataguard.actions.copyareas import copy_areas
from dataguard.actions.findings import finding_of
from dataguard.actions.footprint import refuse_written
from dataguard.actions.reconcile import reconcile, resolve_gone
from dataguard.actions.sinksettings import read_sinks
from dataguard.actions.watched import OpenAreas, quiet_until, watched
from dataguard.actions.watchgaps import downtime
from dataguard.actions.watchloop import Orders, WatchLoop
from dataguard.actions.watchtelling import Outlets, Telling
from dataguard.errors import ConflictError, DataguardError
from dataguard.model.alert import SinkKind, SinkSettings
from dataguard.model.reference import Reference
from dataguard.model.results.watch import Covered, CoveredArea, WatchCoverage, WatchResult
from dataguard.sandbox.processes import is_alive
from dataguard.sinks.servicemanager import ServiceManager
from dataguard.stores.heartbeat import Heartbeat, Heartbeats
from dataguard.stores.sightings import Sightings
from dataguard.stores.watchlock import watch_locked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dataguard.actions.context import Context
    from dataguard.actions.watched import Watched
    from dataguard.model.area import Area
    from dataguard.model.entry import Unreadable
    from dataguard.model.finding import Finding
    from dataguard.sandbox.auditwrites import AuditWrites
    from dataguard.watchers.interface import Watcher

__all__ = ["INTERVAL", "Request", "explain", "once", "watch"]

INTERVAL = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody wants watched; `timer` is a clock in seconds that never goes back."""

    names: tuple[str, ...]
    outlets: Outlets
    timer: Callable[[], float]
    metrics_file: str | None = None


def watch(
    ctx: Context,
    request: Request,
    *,
    new_watcher: Callable[[], Watcher],
    interval: timedelta | None,
    is_over: Callable[[], bool],
    environ: Mapping[str, str],
    new_area_watcher: Callable[[], Watcher] | None = None,
    with_audit: bool = False,
) -> None:
    """Watch until it is over; what differs already is found first.

    Everything is compared each `interval`, 15 minutes where none is given; buckets as often as the
    policy says, or an `interval` that is given and shorter. With `new_area_watcher` copies of gold
    are told that are made in workspaces and areas. With `with_audit` the kernel's audit is asked
    for writers that end too soon to be asked.

    Raises:
        NotFoundError: there is nothing to watch, or no such dataset.
        ConflictError: another watcher of this host and home tells of the same datasets; audit does
            not work here.
        ConfigurationError: a sink is not configured well.
        DataguardError: the catalog, or a source, failed.
    """
    orders = Orders(
        names=request.names,
        new_watcher=new_watcher,
        interval=interval or INTERVAL,
        bucket_interval=_bucket_interval(ctx, interval),
        is_over=is_over,
        timer=request.timer,
        manager=ServiceManager(environ),
        new_area_watcher=new_area_watcher,
        audit=_audit() if with_audit else None,
    )
    names = tuple(ctx.catalog.dataset(Reference.parse(one).dataset).name for one in request.names)
    with watch_locked(ctx.settings.home.value, ctx.process.host, names):
        telling = Telling(ctx, request.outlets, request.timer)
        telling.open(_sinks(ctx, request))
        try:
            WatchLoop(ctx, orders, telling).run()
        finally:
            telling.close()


def _bucket_interval(ctx: Context, asked: timedelta | None) -> timedelta:
    required = ctx.policy.watch.bucket_interval
    if required is None:
        return asked or INTERVAL
    return required if asked is None else min(asked, required)


def _audit() -> AuditWrites:
    from dataguard.sandbox.auditwrites import AuditWrites as Audit  # noqa: PLC0415  as above

    return Audit()


def once(ctx: Context, request: Request) -> WatchResult:
    """Compare every watched place once, and tell the sinks what is news.

    A watcher that was killed since is a gap; one that still runs is left alone.

    Raises:
        NotFoundError: there is nothing to watch, or no such dataset.
        ConfigurationError: a sink is not configured well.
        DataguardError: the catalog failed.
    """
    places, areas = watched(ctx, request.names), OpenAreas(ctx)
    telling = Telling(ctx, request.outlets, request.timer)
    telling.open(_sinks(ctx, request))
    look = _Look(ctx, telling, areas, request.timer)
    try:
        for one in places:
            look.at(one)
    finally:
        telling.close()
    return look.result()


def explain(
    ctx: Context,
    names: tuple[str, ...],
    new_watcher: Callable[[], Watcher],
    new_area_watcher: Callable[[], Watcher],
) -> WatchCoverage:
    """Return what would see each watched place, and what would not be seen; watches nothing."""
    from dataguard.sandbox.auditwrites import why_not  # noqa: PLC0415  sockets, for few

    return WatchCoverage(
        tuple(_covered(one, new_watcher()) for one in watched(ctx, names)),
        tuple(_covered_area(one, new_area_watcher()) for one in copy_areas(ctx)),
        why_not(),
    )


def _covered_area(area: Area, watcher: Watcher) -> CoveredArea:
    reason = watcher.unavailable(os.fsencode(area.place))
    watcher.close()
    return CoveredArea(area.place, str(area.role), area.source, reason or "")


def _covered(one: Watched, watcher: Watcher) -> Covered:
    version, place = one.version, one.location.place
    try:
        coverage = watcher.start((one.root,))[0]
    except DataguardError as err:
        return Covered(version.dataset, version.number, place, None, err.message)
    finally:
        watcher.close()
    return Covered(version.dataset, version.number, place, coverage)


class _Look:
    """One look at some places, and what came of it."""

    def __init__(
        self, ctx: Context, telling: Telling, areas: OpenAreas, timer: Callable[[], float]
    ) -> None:
        self._ctx, self._telling, self._areas, self._timer = ctx, telling, areas, timer
        self._beats = Heartbeats(ctx.settings.home.value, ctx.process.host)
        self._findings = Sightings()
        self._unreadable: list[Unreadable] = []
        self._watched: list[Covered] = []
        self._complete = True
        self._files = self._bytes = 0

    def at(self, one: Watched) -> None:
        """Compare a place, unless somebody is expected to write to it now."""
        version, place = one.version, one.location.place
        beat = self._beats.read(place)
        self._telling.learn(one, None if beat is None else beat.told)
        _, reason = quiet_until(self._ctx, one)
        self._watched.append(Covered(version.dataset, version.number, place, None, reason))
        if reason:
            self._complete = False
            return
        started = self._ctx.clock()
        if beat is not None and not beat.stopped and is_alive(beat.process) is not True:
            self._was_down(one, beat)
        done = reconcile(self._ctx, one, self._areas, self._take, timer=self._timer)
        self._telling.record()
        # What a watcher that still runs does not see, it does not see now either.
        resolve_gone(self._ctx, done, seeing=beat is None or is_alive(beat.process) is not True)
        self._unreadable += done.unreadable
        self._complete = self._complete and done.is_complete
        self._files += done.checked_files
        self._bytes += done.checked_bytes
        if beat is not None and done.is_complete and is_alive(beat.process) is not True:
            told = min(self._telling.told, started)
            self._beats.write(Heartbeat(place, started, told, True, self._ctx.process))

    def result(self) -> WatchResult:
        """Return all of it."""
        return WatchResult(
            complete=self._complete,
            watched=tuple(self._watched),
            checked_files=self._files,
            checked_bytes=self._bytes,
            findings=self._findings,
            unreadable=tuple(self._unreadable),
        )

    def _take(self, findings: Sequence[Finding]) -> None:
        for one in findings:
            self._findings.add_late(one)
        self._telling.tell(findings)

    def _was_down(self, one: Watched, beat: Heartbeat) -> None:
        now, version = self._ctx.clock(), one.version
        difference = downtime(beat, now)
        gap = finding_of(self._ctx, difference, version.dataset, version.number, now)
        self._findings.add_late(gap)
        self._telling.tell_gaps([gap])


def _sinks(ctx: Context, request: Request) -> tuple[SinkSettings, ...]:
    """Return the configured sinks, and one for the metrics file that was asked for.

    Raises:
        PolicyError: one would write into gold.
    """
    found = read_sinks(ctx.settings)
    for one in found:
        if one.kind in (SinkKind.JSONL, SinkKind.PROMETHEUS) and one.target.startswith("/"):
            refuse_written(ctx, f"the file of sink `{one.name}`", one.target)
    if request.metrics_file is None:
        return found
    if any(one.name == "metrics-file" for one in found):
        raise ConflictError("a sink is called `metrics-file`", hint="give it another name")
    return (*found, SinkSettings(SinkKind.PROMETHEUS, "metrics-file", request.metrics_file))
