"""Whole comparisons of a watcher: begun when they are due, in a thread for that, and told."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from dataguard.actions.findings import finding_of
from dataguard.actions.judgement import SPECIAL
from dataguard.actions.permission import permission
from dataguard.actions.reconcile import Reconciled, reconcile, resolve_gone
from dataguard.actions.watchthreads import Found, Worker
from dataguard.catalog.repository import Catalog
from dataguard.core.objectplaces import is_objects
from dataguard.core.verdicts import Difference
from dataguard.engines.serial import SerialEngine
from dataguard.model.finding import Code
from dataguard.model.ports import NoProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    from dataguard.actions.context import Context
    from dataguard.actions.leaseholders import LeaseHolders
    from dataguard.actions.watched import Watched
    from dataguard.actions.watchgaps import Gaps
    from dataguard.actions.watchplaces import Place, Places
    from dataguard.actions.watchtelling import Telling
    from dataguard.actions.watchthreads import Inbox
    from dataguard.model.entry import Unreadable
    from dataguard.model.finding import Finding

__all__ = ["Comparing"]

_LASTING_S = 90.0
"""A gap that lasts is reported again within a minute: so long without it, it is over."""

_AGAIN_S = 10.0
_SHARE = 10
"""A listing that failed is tried again after so long, and after so many times what it took."""

_HELD_S = 1.0
_HELD_LATEST_S = 5.0
_HELD_BATCHES = 20
_FIRST_UNREADABLE = 100


class Comparing:
    """Compares one place after the other as a whole; `count` says how many comparisons ended."""

    def __init__(
        self,
        ctx: Context,
        telling: Telling,
        places: Places,
        inbox: Inbox,
        *,
        gaps: Gaps,
        holders: LeaseHolders,
        timer: Callable[[], float],
        interval: timedelta,
        bucket_interval: timedelta,
    ) -> None:
        self._ctx = ctx
        self._telling = telling
        self._places = places
        self._gaps = gaps
        self._holders = holders
        self._inbox = inbox
        self._timer = timer
        self._interval_s = interval.total_seconds()
        self._bucket_interval_s = bucket_interval.total_seconds()
        self._held: deque[tuple[float, Sequence[Finding]]] = deque()
        self._worker = Worker("watch-compare", inbox)
        self._remote = Worker("watch-list", inbox)
        self.count = 0

    def compare(self, now: float) -> None:
        """Have compared what is due."""
        for place in self._places:
            if now >= place.compare_at and not place.comparing:
                remote = is_objects(place.watched.location.place)
                place.compare_at = now + (self._bucket_interval_s if remote else self._interval_s)
                if not self._places.is_quiet(place):
                    place.comparing = True
                    fresh = self._places.fresh(place)
                    self._worker_of(fresh).do(partial(self._comparison, fresh))

    def _worker_of(self, one: Watched) -> Worker:
        """Return who compares a place: a bucket that is slow holds up no directory."""
        return self._remote if is_objects(one.location.place) else self._worker

    def _comparison(self, one: Watched) -> Reconciled:
        """Compare, in the thread for that and with a catalog of its own."""
        home = self._ctx.settings.home.value
        with Catalog.open(
            self._ctx.settings.catalog.value,
            events=os.path.join(home, "events"),
            clock=self._ctx.clock,
            actor=self._ctx.actor,
            allow=permission(self._ctx.policy),
            create=False,
        ) as catalog:
            ctx = replace(self._ctx, catalog=catalog, engine=SerialEngine(), progress=NoProgress())
            return reconcile(
                ctx,
                one,
                self._places.areas,
                lambda findings: self._inbox.put(Found(one, tuple(findings))),
                timer=self._timer,
            )

    def hold(self, findings: Sequence[Finding]) -> None:
        """Keep what a comparison found until `release` tells it."""
        self._held.append((self._timer(), findings))

    def release(self, now: float, *, idle: bool) -> None:
        """Tell what comparisons found, after what was seen: events know who it was.

        A comparison may come to a file before the event of the same write was judged; `idle` says
        that no event waits for that.
        """
        while self._held:
            since, findings = self._held[0]
            waited = now - since
            is_time = waited >= _HELD_LATEST_S or (idle and waited >= _HELD_S)
            if not is_time and len(self._held) <= _HELD_BATCHES:
                return
            self._held.popleft()
            self._telling.tell(self._holders.named(findings))
        if not any(place.comparing for place in self._places):
            self._telling.known.tidy()

    def take(self, done: Reconciled) -> None:
        """Take note of a comparison that ended: of what is over, and of what stays unknown."""
        self._worker_of(done.watched).done()
        self.count += 1
        place = self._places.get(done.watched.key)
        if place is None:
            return
        self._end_gaps(place, done)
        if not done.is_complete and is_objects(done.watched.location.place):
            self._not_listed(place)
        for one in done.unreadable[:_FIRST_UNREADABLE]:
            self._unread(place, one)
        if done.is_complete and place.watched == done.watched:
            seeing = place.lasting_gap_at is None
            self._telling.record()
            no_events = {k: v for k, v in place.gaps.items() if k[0] is Code.DG904}
            resolve_gone(self._ctx, done, seeing=seeing, has_events=not no_events)
            kept = {} if seeing else {k: v for k, v in place.gaps.items() if k[0] is Code.DG902}
            place.gaps = kept | no_events

    def _end_gaps(self, place: Place, done: Reconciled) -> None:
        now = self._timer()
        place.comparing, place.spent_s, place.compared_once = False, done.duration_s, True
        if place.lasting_gap_at is not None and now - place.lasting_gap_at > _LASTING_S:
            place.lasting_gap_at = None
        if done.is_complete and place.missed_at is not None and done.started > place.missed_at:
            place.missed_at = None

    def _not_listed(self, place: Place) -> None:
        """Nothing else tells what happens in a bucket: it is not seen until a listing is whole."""
        place.missed_at = self._ctx.clock()
        place.compare_soon(self._timer(), after_s=max(_AGAIN_S, _SHARE * place.spent_s))

    def _unread(self, place: Place, one: Unreadable) -> None:
        """Tell what could not be compared, and what is there that no version can have."""
        evidence: dict[str, object] = {"obstacle": str(one.obstacle)}
        if one.obstacle in SPECIAL:
            found = Difference(Code.DG103, one.path, f"it {one.obstacle}", evidence)
            version, now = place.watched.version, self._ctx.clock()
            self.hold([finding_of(self._ctx, found, version.dataset, version.number, now)])
            return
        message = f"it could not be compared: {one.detail or one.obstacle}"
        self._gaps.tell(place, Difference(Code.DG902, one.path, message, evidence))

    def close(self) -> None:
        """Let the thread end after what it is at."""
        self._worker.close()
        self._remote.close()
