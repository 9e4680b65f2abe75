"""A watcher at work: takes what its threads bring, does what is due, and gives signs of life."""

from __future__ import annotations

import os
import queue
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from dataguard.actions.leaseholders import LeaseHolders
from dataguard.actions.reconcile import Reconciled
from dataguard.actions.watchcomparing import Comparing
from dataguard.actions.watchcopies import Copied, CopyWatch, NotWatched
from dataguard.actions.watchgaps import Gaps
from dataguard.actions.watchjudging import Judging
from dataguard.actions.watchplaces import REFRESH_S, Places
from dataguard.actions.watchroster import Roster
from dataguard.actions.watchsources import Sources
from dataguard.actions.watchthreads import Failed, Found, Inbox, Judged, Seen
from dataguard.core.objectplaces import is_objects
from dataguard.model.alert import SeenPlace, WatchStatus
from dataguard.model.watch import Gap
from dataguard.stores.heartbeat import Heartbeat, Heartbeats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import timedelta

    from dataguard.actions.context import Context
    from dataguard.actions.watchplaces import Place
    from dataguard.actions.watchtelling import Telling
    from dataguard.actions.watchthreads import Message
    from dataguard.core.chain import Head
    from dataguard.model.watch import Sighting
    from dataguard.sandbox.auditwrites import AuditWrites
    from dataguard.sinks.servicemanager import ServiceManager
    from dataguard.watchers.interface import Watcher

__all__ = ["Orders", "WatchLoop"]

_TICK_S = 0.25
_IDLE_TICK_S = 0.5
"""How soon a signal ends it where nothing happens; each waking costs CPU."""

_MOUNTS_S = 30.0
"""How often areas are looked up where no record changed: the table of mounts may have."""

_BEAT_S = 5.0
_STATUS_S = 10.0
_SHOWN_S = 2.0
"""How often the status is told where somebody looks on."""

_END_S = 10.0
_PER_TURN = 100
_CROWD = 4_000
"""Events and suspects from which on sources keep events back: they take less room there."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What a watcher is to do: which datasets, with which sources, how often it compares all.

    `bucket_interval` is how often it lists places in buckets.
    """

    names: tuple[str, ...]
    new_watcher: Callable[[], Watcher]
    interval: timedelta
    is_over: Callable[[], bool]
    timer: Callable[[], float]
    manager: ServiceManager
    bucket_interval: timedelta
    new_area_watcher: Callable[[], Watcher] | None = None
    audit: AuditWrites | None = None


class WatchLoop:
    """One watcher; everything that touches the catalog happens in the thread that calls `run`.

    Sources are read, suspects judged and places compared in threads of their own, so that a large
    file or a slow disk holds up nothing but itself.
    """

    def __init__(self, ctx: Context, orders: Orders, telling: Telling) -> None:
        self._ctx = ctx
        self._orders = orders
        self._telling = telling
        self._inbox = Inbox()
        timer, inbox, holders = orders.timer, self._inbox, LeaseHolders(ctx, orders.timer)
        self._places = places = Places(ctx, telling, timer)
        self._gaps = gaps = Gaps(ctx, telling, places, timer)
        self._judging = Judging(
            ctx,
            telling,
            places,
            inbox,
            holders=holders,
            audit=orders.audit,
            timer=timer,
        )
        self._sources = Sources(
            orders.new_watcher,
            places,
            inbox,
            gaps=gaps,
            is_crowded=self._is_crowded,
            timer=timer,
        )
        self._comparing = Comparing(
            ctx,
            telling,
            places,
            inbox,
            gaps=gaps,
            holders=holders,
            timer=timer,
            interval=orders.interval,
            bucket_interval=orders.bucket_interval,
        )
        self._beats = Heartbeats(ctx.settings.home.value, ctx.process.host)
        self._roster = Roster(
            ctx,
            telling,
            places,
            names=orders.names,
            gaps=gaps,
            sources=self._sources,
            judging=self._judging,
            beats=self._beats,
            timer=timer,
        )
        self._copies: CopyWatch | None = None
        self._next = dict.fromkeys(("refresh", "beat", "status", "alive", "mounts"), 0.0)
        self._status_s = _STATUS_S if telling.outlets.status is None else _SHOWN_S
        self._blind = 0
        self._head: Head | None = None

    def run(self) -> None:
        """Watch until it is over.

        Raises:
            DataguardError: the catalog cannot be used any more; a source failed.
        """
        with ExitStack() as opened:
            opened.callback(self._close)
            if self._orders.audit is not None:
                self._orders.audit.open()
                opened.callback(self._orders.audit.close)
            self._refresh(first=True)
            self._watch_areas()
            self._orders.manager.ready(self._words())
            while not self._orders.is_over():
                self._step()
            self._orders.manager.stopping()
            self._end()

    def _is_crowded(self) -> bool:
        """Whether enough of what was seen waits to be judged; asked by other threads."""
        return self._judging.waiting + self._inbox.sightings >= _CROWD

    def _watch_areas(self) -> None:
        if self._orders.new_area_watcher is None:
            return
        self._copies = CopyWatch(
            self._ctx,
            self._orders.new_area_watcher,
            lambda one: self._inbox.put(Failed(one) if isinstance(one, Exception) else one),
            names=self._orders.names,
            timer=self._orders.timer,
        )

    # --- one turn -----------------------------------------------------------------------------

    def _step(self) -> None:
        for message in self._messages():
            self._take(message)
        now = self._orders.timer()
        self._judging.judge(now)
        self._comparing.compare(now)
        self._comparing.release(now, idle=self._judging.idle)
        self._telling.pulse()
        self._on_time(now)

    def _messages(self) -> Iterable[Message]:
        """Return what is in the inbox, waiting for the first no longer than something is due."""
        found: list[Message] = []
        with suppress(queue.Empty):
            found.append(self._inbox.get(timeout=self._patience()))
            while len(found) < _PER_TURN:
                found.append(self._inbox.get_nowait())
        return found

    def _patience(self) -> float:
        due = self._judging.next_due()
        if due is None:
            return _TICK_S if self._telling.is_holding else _IDLE_TICK_S
        return min(max(due - self._orders.timer(), 0.001), _TICK_S)

    def _take(self, message: Message) -> None:
        match message:
            case Seen():
                for sighting in message.sightings:
                    self._see(sighting)
            case Judged():
                self._judging.take(message)
            case Found():
                self._comparing.hold(message.findings)
            case Reconciled():
                self._compared(message)
            case Copied():
                self._copied(message)
            case NotWatched():
                why = f"copies in {message.place} are not told as they are made: {message.reason}"
                self._telling.outlets.remark(why)
            case Failed():
                raise message.error
            case _:
                assert_never(message)

    def _see(self, sighting: Sighting) -> None:
        if isinstance(sighting, Gap):
            self._gaps.take(sighting)
        else:
            self._judging.see(sighting)

    def _compared(self, done: Reconciled) -> None:
        self._comparing.take(done)
        if self._places.get(done.watched.key) is not None:
            self._next["beat"] = 0.0

    def _copied(self, message: Copied) -> None:
        self._telling.tell(message.findings)
        self._gaps.take_found(message.gaps)
        if message.time is not None:
            self._telling.no_copies(message.versions, message.fine, time=message.time)

    def _refresh(self, *, first: bool = False) -> None:
        """Look up what is to be watched, and have the kernel record who changes it."""
        self._roster.refresh(first=first)
        audit = self._orders.audit
        if audit is None:
            return
        watched = (one.watched for one in self._places)
        roots = (one.root for one in watched if not is_objects(one.location.place))
        for trouble in audit.follow(map(os.path.realpath, roots)):
            self._telling.outlets.remark(trouble)

    def _tell_of_audit(self) -> None:
        """Say that records were lost since the last time."""
        audit = self._orders.audit
        if audit is not None and audit.take_lost():
            message = "records of audit were lost, and with them who some writers were"
            self._telling.outlets.remark(message)

    # --- what is due --------------------------------------------------------------------------

    def _on_time(self, now: float) -> None:
        if self._places.blind != self._blind:  # at once: nobody shall read that all is seen then
            self._blind = self._places.blind
            self._next["status"] = 0.0
            self._orders.manager.status(self._words())
        if self._is_time("refresh", now, REFRESH_S) and self._has_news(now):
            self._refresh()
        if self._is_time("beat", now, _BEAT_S):
            self._beat(stopped=False)
        if self._is_time("status", now, self._status_s):
            self._telling.note(self.status())
            self._tell_of_audit()
        every_s = self._orders.manager.interval_s
        if every_s is not None and self._is_time("alive", now, every_s / 2):
            self._orders.manager.alive(self._words())
        if self._is_time("sources", now, REFRESH_S):
            self._sources.open_unseen()  # what the catalog says has no part in this

    def _has_news(self, now: float) -> bool:
        """Whether the catalog changed, or mounts may have: an idle watcher costs next to nothing.

        What the watcher records itself is news too.
        """
        head, before = self._ctx.catalog.head(), self._head
        self._head = head
        return head != before or self._is_time("mounts", now, _MOUNTS_S)

    def _is_time(self, what: str, now: float, every_s: float) -> bool:
        if now < self._next.get(what, 0.0):
            return False
        self._next[what] = now + every_s
        return True

    # --- how it is ----------------------------------------------------------------------------

    def status(self) -> WatchStatus:
        """Return how the watcher is."""
        now, time = self._orders.timer(), self._ctx.clock()
        return WatchStatus(
            time=time,
            watched=len(self._places),
            blind=self._places.blind,
            events=self._judging.events,
            traceless=self._judging.traceless,
            suppressed=self._judging.suppressed,
            gaps=self._gaps.count,
            reconciles=self._comparing.count,
            lag_s=self._judging.lag_s(now),
            open_findings=self._telling.open_findings(self._places.versions),
            audit_ages_s=self._places.audit_ages(time),
            sinks=self._telling.health,
            places=tuple(self._seen(one) for one in self._places),
        )

    def _seen(self, place: Place) -> SeenPlace:
        version, root = place.watched.version, place.watched.root
        covered = self._sources.coverage(root)
        return SeenPlace(
            root=root,
            version=f"{version.dataset}@{version.number}",
            source="" if covered is None else str(covered.source),
            filesystem="" if covered is None else covered.filesystem,
            blind=place.blind,
        )

    def _beat(self, *, stopped: bool) -> None:
        self._telling.record()
        now, process = self._ctx.clock(), self._ctx.process
        told = min(self._telling.told, now)
        for place in self._places:
            if place.compared_once and not place.blind:
                beat = Heartbeat(place.watched.location.place, now, told, stopped, process)
                self._beats.write(beat)

    def _words(self) -> str:
        return f"watching {len(self._places)} places, {self._places.blind} of them not in full"

    # --- the end ------------------------------------------------------------------------------

    def _end(self) -> None:
        """Judge what came until now, and leave a clean point."""
        self._stop_reading()
        deadline = self._orders.timer() + _END_S
        while (
            not self._judging.idle or not self._inbox.empty()
        ) and self._orders.timer() < deadline:
            for message in self._messages():
                self._take(message)
            self._judging.judge(float("inf"))
        self._comparing.release(float("inf"), idle=self._judging.idle)
        self._telling.pulse(all_of_it=True)
        self._beat(stopped=self._judging.settled)

    def _stop_reading(self) -> None:
        if self._copies is not None:
            self._copies.close()
            self._copies = None
        self._sources.close()

    def _close(self) -> None:
        self._stop_reading()
        self._judging.close()
        self._comparing.close()
