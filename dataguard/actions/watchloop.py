"""A watcher at work: from what sources see to findings, whole comparisons, and signs of life."""

from __future__ import annotations

import os
import queue
from collections import defaultdict, deque
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, assert_never

from dataguard.actions.attribution import Attribution
from dataguard.actions.findings import finding_of
from dataguard.actions.judgement import SPECIAL, Judge
from dataguard.actions.leaseholders import LeaseHolders
from dataguard.actions.permission import permission
from dataguard.actions.reconcile import Reconciled, reconcile, resolve_gone
from dataguard.actions.recording import is_only_location
from dataguard.actions.watchcopies import Copied, CopyWatch, NotWatched
from dataguard.actions.watched import OpenAreas, quiet_until, watched
from dataguard.actions.watchthreads import Failed, Found, Judged, Pump, Seen, Worker
from dataguard.catalog.repository import Catalog
from dataguard.core.suspects import Suspects
from dataguard.core.verdicts import Difference
from dataguard.engines.serial import SerialEngine
from dataguard.errors import DataguardError, NotFoundError
from dataguard.model.alert import WatchStatus
from dataguard.model.finding import Code
from dataguard.model.ports import NoProgress
from dataguard.model.watch import ChangeKind, Gap, GapKind
from dataguard.sandbox.processes import is_alive
from dataguard.stores.heartbeat import Heartbeat, Heartbeats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime, timedelta

    from dataguard.actions.context import Context
    from dataguard.actions.watched import Watched
    from dataguard.actions.watchtelling import Telling
    from dataguard.actions.watchthreads import Inbox, Message
    from dataguard.core.chain import Head
    from dataguard.core.suspects import Suspect
    from dataguard.model.entry import Unreadable
    from dataguard.model.finding import Finding
    from dataguard.model.watch import Sighting, WatchEvent
    from dataguard.sinks.servicemanager import ServiceManager
    from dataguard.watchers.interface import Watcher

__all__ = ["Orders", "WatchLoop"]

_TICK_S = 0.25
_AFTER_GAP_S = 0.5
_REFRESH_S = 2.0
_MOUNTS_S = 30.0
"""How often areas are looked up where no record changed: the table of mounts may have."""

_BEAT_S = 5.0
_STATUS_S = 10.0
_LASTING_S = 90.0
"""A gap that lasts is reported again within a minute: so long without it, it is over."""

_HELD_S = 1.0
_HELD_LATEST_S = 5.0
_HELD_BATCHES = 20
_SAME_GAP_S = 300.0
_MOST_SUSPECTS = 200_000
_PER_JUDGEMENT = 5_000
_JUDGED_AHEAD = 2
_PER_TURN = 100
_FIRST_UNREADABLE = 100
_TRIED_AGAIN = 10
"""A root that cannot be watched is tried again after so many times what the attempt took."""

_OVER_AT_ONCE = (GapKind.OVERFLOW, GapKind.READER_DIED, GapKind.DOWN)


@dataclass(frozen=True, slots=True)
class Orders:
    """What a watcher is to do: which datasets, with which sources, how often it compares all."""

    names: tuple[str, ...]
    new_watcher: Callable[[], Watcher]
    interval: timedelta
    is_over: Callable[[], bool]
    timer: Callable[[], float]
    manager: ServiceManager
    new_area_watcher: Callable[[], Watcher] | None = None


@dataclass(slots=True)
class _Place:
    """One watched place, and what is to be done about it."""

    watched: Watched
    compare_at: float
    comparing: bool = False
    spent_s: float = 0.0
    lasting_gap_at: float | None = None
    open_at: float = 0.0
    missed_at: datetime | None = None
    quiet: bool = False
    compared_once: bool = False
    gaps: dict[tuple[Code, bytes], float] = field(default_factory=dict)

    @property
    def blind(self) -> bool:
        """Whether something is not seen now, or was not seen and nobody compared since."""
        return self.lasting_gap_at is not None or self.missed_at is not None


@dataclass(slots=True)
class _Counts:
    events: int = 0
    traceless: int = 0
    suppressed: int = 0
    gaps: int = 0
    reconciles: int = 0


class WatchLoop:
    """One watcher; everything that touches the catalog happens in the thread that calls `run`.

    Sources are read, suspects judged and places compared in threads of their own, so that a large
    file or a slow disk holds up nothing but itself.
    """

    def __init__(self, ctx: Context, orders: Orders, telling: Telling) -> None:
        self._ctx = ctx
        self._orders = orders
        self._telling = telling
        self._inbox: Inbox = queue.Queue()
        self._suspects = Suspects()
        self._places: dict[tuple[str, str], _Place] = {}
        self._pumps: dict[bytes, Pump] = {}
        self._areas = OpenAreas(ctx)
        self._people = Attribution(ctx)
        self._holders = LeaseHolders(ctx, orders.timer)
        self._beats = Heartbeats(ctx.settings.home.value, ctx.process.host)
        self._judges: dict[tuple[str, str], Judge] = {}
        self._judging = Worker("watch-judge", self._inbox)
        self._comparing = Worker("watch-compare", self._inbox)
        self._who: dict[bytes, tuple[str | None, str | None]] = {}
        self._counts = _Counts()
        self._held: deque[tuple[float, Sequence[Finding]]] = deque()
        self._next = dict.fromkeys(("refresh", "beat", "status", "alive", "mounts"), 0.0)
        self._blind = 0
        self._head: Head | None = None
        self._copies: CopyWatch | None = None

    def run(self) -> None:
        """Watch until it is over.

        Raises:
            DataguardError: the catalog cannot be used any more; a source failed.
        """
        with ExitStack() as opened:
            opened.callback(self._close)
            self._refresh(first=True)
            self._watch_areas()
            self._orders.manager.ready(self._words())
            while not self._orders.is_over():
                self._step()
            self._orders.manager.stopping()
            self._end()

    # --- one turn -----------------------------------------------------------------------------

    def _step(self) -> None:
        for message in self._messages():
            self._take(message)
        now = self._orders.timer()
        self._judge(now)
        self._compare(now)
        self._release(now)
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
        due = self._suspects.next_due()
        if due is None or self._judging.waiting >= _JUDGED_AHEAD:
            return _TICK_S
        return min(max(due - self._orders.timer(), 0.001), _TICK_S)

    def _take(self, message: Message) -> None:
        match message:
            case Seen():
                for sighting in message.sightings:
                    self._see(sighting)
            case Judged():
                self._judging.done()
                self._judged(message)
            case Found():
                self._held.append((self._orders.timer(), message.findings))
            case Reconciled():
                self._comparing.done()
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

    def _on_time(self, now: float) -> None:
        blind = sum(one.blind for one in self._places.values())
        if blind != self._blind:  # at once: nobody shall read that all is seen when it is not
            self._blind = blind
            self._next["status"] = 0.0
            self._orders.manager.status(self._words())
        if self._is_time("refresh", now, _REFRESH_S) and self._has_news(now):
            self._refresh()
        if self._is_time("beat", now, _BEAT_S):
            self._beat(stopped=False)
        if self._is_time("status", now, _STATUS_S):
            self._telling.note(self.status())
        every_s = self._orders.manager.interval_s
        if every_s is not None and self._is_time("alive", now, every_s / 2):
            self._orders.manager.alive(self._words())
        if self._is_time("sources", now, _REFRESH_S):
            self._open(dict.fromkeys(self._unseen()))  # what the catalog says has no part in this

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

    # --- what sources see ---------------------------------------------------------------------

    def _see(self, sighting: Sighting) -> None:
        if isinstance(sighting, Gap):
            self._gap(sighting)
            return
        self._counts.events += 1
        for place in self._at(sighting.root):
            self._suspect(place, sighting)

    def _suspect(self, place: _Place, event: WatchEvent) -> None:
        now = self._orders.timer()
        path = place.watched.relative(event.path)
        if not path:
            if event.kind is not ChangeKind.METADATA:
                place.compare_at = min(place.compare_at, now + _AFTER_GAP_S)
            return
        if self._areas.holds(place.watched.location.place, path):
            return
        self._suspects.add(event, now)
        if event.writer is not None:
            self._who[event.path] = self._people.of(event.writer)
        if len(self._suspects) > _MOST_SUSPECTS:
            self._forget(event.root)
            for one in self._at(event.root):
                one.compare_at = now  # nothing was lost, but a comparison is quicker

    def _forget(self, root: bytes) -> None:
        """Judge nothing of a root that was seen until now."""
        self._suspects.forget(root)
        top = root.rstrip(b"/") + b"/"
        self._who = {path: who for path, who in self._who.items() if not path.startswith(top)}

    def _gap(self, gap: Gap) -> None:
        self._counts.gaps += 1
        now = self._orders.timer()
        for place in self._at(gap.root):
            self._tell_gap(
                place,
                gap.kind.code,
                place.watched.relative(gap.path),
                gap.message,
                {
                    "gap": str(gap.kind),
                    "time": gap.time.isoformat(),
                },
            )
            if gap.kind is GapKind.NO_EVENTS:
                continue
            place.missed_at = self._ctx.clock()
            if gap.kind not in _OVER_AT_ONCE:
                place.lasting_gap_at = now
            place.compare_at = min(place.compare_at, now + max(_AFTER_GAP_S, place.spent_s))

    def _tell_gap(
        self, place: _Place, code: Code, path: bytes, message: str, evidence: dict[str, object]
    ) -> None:
        """Tell a gap, but not the same one every minute while it lasts."""
        now = self._orders.timer()
        last = place.gaps.get((code, path))
        if last is not None and now - last < _SAME_GAP_S:
            return
        place.gaps[code, path] = now
        self._telling.tell_gaps([self._finding(place, Difference(code, path, message, evidence))])

    def _finding(self, place: _Place, difference: Difference) -> Finding:
        version = place.watched.version
        return finding_of(self._ctx, difference, version.dataset, version.number, self._ctx.clock())

    def _at(self, root: bytes) -> list[_Place]:
        return [one for one in self._places.values() if one.watched.root == root]

    # --- copies in areas ----------------------------------------------------------------------

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

    def _copied(self, message: Copied) -> None:
        self._telling.tell(message.findings)
        if message.gaps:
            self._counts.gaps += len(message.gaps)
            self._telling.tell_gaps(message.gaps)
        if message.time is not None:
            self._telling.no_copies(message.versions, message.fine, time=message.time)

    # --- judging ------------------------------------------------------------------------------

    def _judge(self, now: float) -> None:
        if self._judging.waiting >= _JUDGED_AHEAD:
            return
        by_root: dict[bytes, list[Suspect]] = defaultdict(list)
        for suspect in self._suspects.due(now, most=_PER_JUDGEMENT):
            by_root[suspect.root].append(suspect)
        for root, suspects in by_root.items():
            for place in self._at(root):
                self._judge_at(place, suspects)
            for one in suspects:
                self._who.pop(one.path, None)

    def _judge_at(self, place: _Place, suspects: Sequence[Suspect]) -> None:
        if self._is_quiet(place):
            self._counts.suppressed += sum(one.events for one in suspects)
            return
        fresh = self._fresh(place)
        people = {one.path: self._who[one.path] for one in suspects if one.path in self._who}
        self._judging.do(partial(self._judgement, fresh, suspects, people))

    def _judgement(
        self,
        watched: Watched,
        suspects: Sequence[Suspect],
        people: dict[bytes, tuple[str | None, str | None]],
    ) -> Judged:
        """Judge, in the thread for that."""
        try:
            judge = self._judges.get(watched.key)
            if judge is None or judge.watched != watched:
                judge = self._judges[watched.key] = Judge(self._ctx, watched)
            return Judged(watched, judge.judge(suspects, people))
        except DataguardError as err:
            return Judged(watched, None, err.message)

    def _judged(self, message: Judged) -> None:
        place = self._places.get(message.watched.key)
        if place is None:
            return
        if message.judgement is None:  # the comparison says what is wrong with the place
            place.compare_at = self._orders.timer()
            return
        found = message.judgement
        findings = self._gold_only(message.watched, found.findings)
        self._telling.tell(self._holders.named(findings))
        if is_only_location(self._ctx, message.watched.version):  # what is fine here says nothing
            self._telling.settled(message.watched, found.fine, time=found.time)
        self._counts.traceless += len(found.fine)

    def _gold_only(self, one: Watched, findings: Iterable[Finding]) -> list[Finding]:
        place = one.location.place
        return [finding for finding in findings if not self._areas.holds(place, finding.path)]

    # --- comparing as a whole -----------------------------------------------------------------

    def _compare(self, now: float) -> None:
        for place in self._places.values():
            if now >= place.compare_at and not place.comparing:
                place.compare_at = now + self._orders.interval.total_seconds()
                if not self._is_quiet(place):
                    place.comparing = True
                    self._comparing.do(partial(self._comparison, self._fresh(place)))

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
                self._areas,
                lambda findings: self._inbox.put(Found(one, tuple(findings))),
                timer=self._orders.timer,
            )

    def _release(self, now: float) -> None:
        """Tell what comparisons found, after what was seen: events know who it was.

        A comparison may come to a file before the event of the same write was judged.
        """
        idle = not len(self._suspects) and not self._judging.waiting
        while self._held:
            since, findings = self._held[0]
            waited = now - since
            is_time = waited >= _HELD_LATEST_S or (idle and waited >= _HELD_S)
            if not is_time and len(self._held) <= _HELD_BATCHES:
                return
            self._held.popleft()
            self._telling.tell(self._holders.named(findings))
        if not any(place.comparing for place in self._places.values()):
            self._telling.known.tidy()

    def _compared(self, done: Reconciled) -> None:
        self._counts.reconciles += 1
        place = self._places.get(done.watched.key)
        if place is None:
            return
        now = self._orders.timer()
        place.comparing, place.spent_s, place.compared_once = False, done.duration_s, True
        if place.lasting_gap_at is not None and now - place.lasting_gap_at > _LASTING_S:
            place.lasting_gap_at = None
        if done.is_complete and place.missed_at is not None and done.started > place.missed_at:
            place.missed_at = None
        for one in done.unreadable[:_FIRST_UNREADABLE]:
            self._unread(place, one)
        self._next["beat"] = 0.0
        if done.is_complete and place.watched == done.watched:
            seeing = place.lasting_gap_at is None
            self._telling.record()
            resolve_gone(self._ctx, done, seeing=seeing)
            kept = {} if seeing else {k: v for k, v in place.gaps.items() if k[0] is Code.DG902}
            no_events = {k: v for k, v in place.gaps.items() if k[0] is Code.DG904}
            place.gaps = kept | no_events

    def _unread(self, place: _Place, one: Unreadable) -> None:
        """Tell what could not be compared, and what is there that no version can have."""
        evidence: dict[str, object] = {"obstacle": str(one.obstacle)}
        if one.obstacle in SPECIAL:
            found = Difference(Code.DG103, one.path, f"it {one.obstacle}", evidence)
            self._held.append((self._orders.timer(), [self._finding(place, found)]))
            return
        message = f"it could not be compared: {one.detail or one.obstacle}"
        self._tell_gap(place, Code.DG902, one.path, message, evidence)

    # --- places that come and go --------------------------------------------------------------

    def _refresh(self, *, first: bool = False) -> None:
        """Watch what the catalog says now: places come, go, and get other versions."""
        try:
            now_watched = watched(self._ctx, self._orders.names, all_named=first)
        except NotFoundError:
            if first:
                raise
            now_watched = ()
        wanted = {one.key: one for one in now_watched}
        for key in [key for key in self._places if key not in wanted]:
            self._leave(key)
        new = [one for key, one in wanted.items() if key not in self._places]
        for one in new:
            self._places[one.key] = _Place(one, compare_at=float("inf"))
        self._open(dict.fromkeys(self._unseen()))
        for one in new:
            self._enter(self._places[one.key])
        for key, one in wanted.items():
            if self._places[key].watched != one:
                self._change(self._places[key], one)
        self._areas = OpenAreas(self._ctx)
        self._people.refresh(self._ctx)

    def _unseen(self) -> Iterable[bytes]:
        """Yield the roots that no source watches, and that are to be tried now."""
        now = self._orders.timer()
        for place in self._places.values():
            if place.watched.root not in self._pumps and now >= place.open_at:
                yield place.watched.root

    def _open(self, roots: Iterable[bytes]) -> None:
        """Have one source watch some roots; where it cannot, each of them has its own."""
        wanted = tuple(roots)
        if not wanted:
            return
        began = self._orders.timer()
        try:
            self._start(wanted)
        except DataguardError as err:
            if len(wanted) > 1:
                for root in wanted:
                    self._open((root,))
                return
            for place in self._at(wanted[0]):  # what became of it the comparison says
                self._tell_gap(place, Code.DG902, b"", err.message, {"gap": "unreadable"})
                place.lasting_gap_at = now = self._orders.timer()
                place.open_at = now + _TRIED_AGAIN * (now - began)
        else:
            for root in wanted:
                for place in self._at(root):
                    place.compare_at = began  # what happened before nobody saw

    def _start(self, roots: tuple[bytes, ...]) -> None:
        watcher = self._orders.new_watcher()
        try:
            watcher.start(roots)
        except DataguardError:
            watcher.close()
            raise
        self._pumps |= dict.fromkeys(roots, Pump(watcher, self._inbox))

    def _enter(self, place: _Place) -> None:
        """Begin with a place that is watched by now: so nothing falls in between."""
        beat = self._beats.read(place.watched.location.place)
        self._telling.learn(place.watched, None if beat is None else beat.told)
        if beat is not None and not is_alive(beat.process):
            self._was_down(place, beat)
        place.compare_at = self._orders.timer()

    def _was_down(self, place: _Place, beat: Heartbeat) -> None:
        now = self._ctx.clock()
        message = f"nobody watched from {beat.seen:%Y-%m-%d %H:%M:%SZ} to {now:%Y-%m-%d %H:%M:%SZ}"
        evidence = {"from": beat.seen.isoformat(), "to": now.isoformat(), "stopped": beat.stopped}
        self._counts.gaps += 1
        self._tell_gap(place, GapKind.DOWN.code, b"", message, dict(evidence))

    def _change(self, place: _Place, one: Watched) -> None:
        """Go on with another version or baseline of the same place."""
        if one.version != place.watched.version:
            self._telling.learn(one, None)
        place.watched = one
        place.compare_at = self._orders.timer()

    def _leave(self, key: tuple[str, str]) -> None:
        root = self._places.pop(key).watched.root
        self._judges.pop(key, None)
        if not self._at(root):
            self._forget(root)
            pump = self._pumps.pop(root, None)
            if pump is not None and pump not in self._pumps.values():
                pump.close()

    def _fresh(self, place: _Place) -> Watched:
        """Return a place with its newest version and baseline: it may have changed just now."""
        old = place.watched
        location = next(
            (
                one
                for one in self._ctx.catalog.locations_at(old.location.place)
                if one.dataset == old.version.dataset
            ),
            old.location,
        )
        if location == old.location:
            return old
        version = self._ctx.catalog.version(location.dataset, location.version)
        self._change(place, replace(old, version=version, location=location))
        return place.watched

    def _is_quiet(self, place: _Place) -> bool:
        """Whether writes are expected now; compares the place when that is over."""
        until, reason = quiet_until(self._ctx, place.watched)
        if not reason:
            if place.quiet:
                place.quiet = False
                place.compare_at = min(place.compare_at, self._orders.timer())
            return False
        if not place.quiet:
            self._telling.outlets.remark(f"{place.watched.location.place} is not watched: {reason}")
        place.quiet = True
        left_s = _REFRESH_S if until is None else (until - self._ctx.clock()).total_seconds()
        place.compare_at = self._orders.timer() + min(max(left_s, 0.1), _REFRESH_S)
        return True

    # --- signs of life ------------------------------------------------------------------------

    def _beat(self, *, stopped: bool) -> None:
        self._telling.record()
        now, process = self._ctx.clock(), self._ctx.process
        told = min(self._telling.told, now)
        for place in self._places.values():
            if place.compared_once and not place.blind:
                beat = Heartbeat(place.watched.location.place, now, told, stopped, process)
                self._beats.write(beat)

    def status(self) -> WatchStatus:
        """Return how the watcher is."""
        now, clock = self._orders.timer(), self._ctx.clock()
        oldest = self._suspects.oldest()
        counts = self._counts
        return WatchStatus(
            time=clock,
            watched=len(self._places),
            blind=sum(one.blind for one in self._places.values()),
            events=counts.events,
            traceless=counts.traceless,
            suppressed=counts.suppressed,
            gaps=counts.gaps,
            reconciles=counts.reconciles,
            lag_s=0.0 if oldest is None else now - oldest,
            open_findings=self._telling.open_findings(
                {(v.dataset, v.number) for v in (p.watched.version for p in self._places.values())}
            ),
            audit_ages_s=self._audit_ages(clock),
            sinks=self._telling.health,
        )

    def _audit_ages(self, now: datetime) -> dict[tuple[str, int], float]:
        ages = {}
        for place in self._places.values():
            version = place.watched.version
            last = self._ctx.catalog.last_audit(version.dataset, version.number)
            if last is not None:
                ages[version.dataset, version.number] = (now - last.finished).total_seconds()
        return ages

    def _words(self) -> str:
        blind = sum(one.blind for one in self._places.values())
        return f"watching {len(self._places)} places, {blind} of them not in full"

    def _end(self) -> None:
        """Judge what came until now, and leave a clean point."""
        self._stop_reading()
        deadline = self._orders.timer() + 10.0
        while (
            len(self._suspects) or self._judging.waiting or not self._inbox.empty()
        ) and self._orders.timer() < deadline:
            for message in self._messages():
                self._take(message)
            self._judge(float("inf"))
        self._release(float("inf"))
        self._telling.pulse(all_of_it=True)
        self._beat(stopped=not len(self._suspects))

    def _stop_reading(self) -> None:
        if self._copies is not None:
            self._copies.close()
            self._copies = None
        for pump in {id(one): one for one in self._pumps.values()}.values():
            pump.close()
        self._pumps.clear()

    def _close(self) -> None:
        self._stop_reading()
        self._judging.close()
        self._comparing.close()
