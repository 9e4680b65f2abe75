"""Suspects of a watcher: gathered from events, judged in a thread for that, told."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

from dataguard.actions.attribution import Attribution
from dataguard.actions.judgement import Judge
from dataguard.actions.recording import is_only_location
from dataguard.actions.watchthreads import Judged, Worker
from dataguard.core.objectplaces import is_objects
from dataguard.core.suspects import Suspects
from dataguard.errors import DataguardError
from dataguard.model.watch import ChangeKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dataguard.actions.bucketwatch import BucketJudge
    from dataguard.actions.context import Context
    from dataguard.actions.leaseholders import LeaseHolders
    from dataguard.actions.watched import Watched
    from dataguard.actions.watchplaces import Place, Places
    from dataguard.actions.watchtelling import Telling
    from dataguard.actions.watchthreads import Inbox
    from dataguard.core.suspects import Suspect
    from dataguard.model.finding import Finding
    from dataguard.model.watch import WatchEvent
    from dataguard.sandbox.auditwrites import AuditWrites

__all__ = ["Judging"]

_MOST_SUSPECTS = 200_000
_PER_JUDGEMENT = 1_000
_JUDGED_AHEAD = 2
_PARTS_AHEAD = 2
"""Parts of a judgement that may wait to be told: the tree below a new directory has no end."""

_Who = tuple[str | None, str | None]


class Judging:
    """What changed and is not judged yet, and who changed it.

    `events`, `suppressed` and `traceless` count what was seen, what was seen while writes were
    expected, and what turned out to be as it should be.
    """

    def __init__(
        self,
        ctx: Context,
        telling: Telling,
        places: Places,
        inbox: Inbox,
        *,
        holders: LeaseHolders,
        audit: AuditWrites | None,
        timer: Callable[[], float],
    ) -> None:
        self._ctx = ctx
        self._telling = telling
        self._places = places
        self._holders = holders
        self._audit = audit
        self._timer = timer
        self._suspects = Suspects()
        self._people = Attribution(ctx)
        self._who: dict[bytes, _Who] = {}
        self._judges: dict[tuple[str, str], Judge | BucketJudge] = {}
        self._inbox = inbox
        self._room = threading.Semaphore(_PARTS_AHEAD)
        self._closed = False
        self._worker = Worker("watch-judge", inbox)
        self.events = self.suppressed = self.traceless = 0

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be judged."""
        return not len(self._suspects) and not self._worker.waiting

    @property
    def settled(self) -> bool:
        """Whether all that was seen was given to be judged."""
        return not len(self._suspects)

    @property
    def busy(self) -> bool:
        """Whether so much is being judged that more would only wait."""
        return self._worker.waiting >= _JUDGED_AHEAD

    @property
    def waiting(self) -> int:
        """Suspects that were not given to be judged."""
        return len(self._suspects)

    def next_due(self) -> float | None:
        """Return when the next suspect is to be judged; None for: nothing to do by then."""
        return None if self.busy else self._suspects.next_due()

    def lag_s(self, now: float) -> float:
        """Return for how long the oldest suspect has waited."""
        oldest = self._suspects.oldest()
        return 0.0 if oldest is None else now - oldest

    def refresh(self) -> None:
        """Look up again who may be named."""
        self._people.refresh(self._ctx)

    def see(self, event: WatchEvent) -> None:
        """Suspect what changed, in every place at which it did."""
        self.events += 1
        for place in self._places.at(event.root):
            self._suspect(place, event)

    def _suspect(self, place: Place, event: WatchEvent) -> None:
        now = self._timer()
        path = place.watched.relative(event.path)
        if not path:
            if event.kind is not ChangeKind.METADATA:
                place.compare_soon(now)
            return
        if self._places.areas.holds(place.watched.location.place, path):
            return
        self._suspects.add(event, now)
        if event.writer is not None and event.writer.is_known:
            self._who[event.path] = self._people.of(event.writer)
        if len(self._suspects) > _MOST_SUSPECTS:
            self._forget(event.root)
            for one in self._places.at(event.root):
                one.compare_at = now  # nothing was lost, but a comparison is quicker

    def leave(self, place: Watched) -> None:
        """Judge nothing more of a place that was taken out, unless another has its root."""
        self._judges.pop(place.key, None)
        if not self._places.at(place.root):
            self._forget(place.root)

    def _forget(self, root: bytes) -> None:
        """Judge nothing of a root that was seen until now."""
        self._suspects.forget(root)
        top = root.rstrip(b"/") + b"/"
        self._who = {path: who for path, who in self._who.items() if not path.startswith(top)}

    def judge(self, now: float) -> None:
        """Have judged what is due."""
        if self.busy:
            return
        by_root: dict[bytes, list[Suspect]] = defaultdict(list)
        for suspect in self._suspects.due(now, most=_PER_JUDGEMENT):
            by_root[suspect.root].append(suspect)
        for root, suspects in by_root.items():
            self._identify(suspects)
            for place in self._places.at(root):
                self._judge_at(place, suspects)
            for one in suspects:
                self._who.pop(one.path, None)

    def _identify(self, suspects: Iterable[Suspect]) -> None:
        """Ask the kernel's records who those were that were gone when their events came."""
        if self._audit is None:
            return
        named = [(one, one.writer) for one in suspects if one.writer is not None]
        asked = [(writer, os.path.basename(one.path)) for one, writer in named]
        for (one, writer), whole in zip(named, self._audit.completed(asked), strict=True):
            if whole is not writer:
                one.writer = whole
                self._who[one.path] = self._people.of(whole)

    def _judge_at(self, place: Place, suspects: Sequence[Suspect]) -> None:
        if self._places.is_quiet(place):
            self.suppressed += sum(one.events for one in suspects)
            return
        fresh = self._places.fresh(place)
        people = {one.path: self._who[one.path] for one in suspects if one.path in self._who}
        self._worker.do(partial(self._judgement, fresh, suspects, people))

    def _judgement(
        self, watched: Watched, suspects: Sequence[Suspect], people: dict[bytes, _Who]
    ) -> Judged:
        """Judge, in the thread for that; returns the last part."""
        try:
            judge = self._judges.get(watched.key)
            if judge is None or judge.watched != watched:
                judge = self._judges[watched.key] = _judge_of(self._ctx, watched)
            parts = judge.judge(suspects, people)
            while (part := next(parts)).partial:
                self._hand_on(Judged(watched, part))
            return Judged(watched, part)
        except DataguardError as err:
            return Judged(watched, None, err.message)

    def _hand_on(self, message: Judged) -> None:
        """Give the loop a part as soon as it has room; what comes after the end is nobody's."""
        self._room.acquire()
        if self._closed:
            self._room.release()
        else:
            self._inbox.put(message)

    def take(self, message: Judged) -> None:
        """Tell what came of suspects; where they cannot be judged the place is compared."""
        if message.judgement is not None and message.judgement.partial:
            self._room.release()
        else:
            self._worker.done()
        place = self._places.get(message.watched.key)
        if place is None:
            return
        if message.judgement is None:  # the comparison says what is wrong with the place
            place.compare_at = self._timer()
            return
        found = message.judgement
        findings = self._gold_only(message.watched, found.findings)
        self._telling.tell(self._holders.named(findings))
        if is_only_location(self._ctx, message.watched.version):  # what is fine here says nothing
            self._telling.settled(message.watched, found.fine, time=found.time)
        self.traceless += len(found.fine)

    def _gold_only(self, one: Watched, findings: Iterable[Finding]) -> list[Finding]:
        place, areas = one.location.place, self._places.areas
        return [finding for finding in findings if not areas.holds(place, finding.path)]

    def close(self) -> None:
        """Let the thread end after what it is at."""
        self._closed = True
        self._room.release()
        self._worker.close()


def _judge_of(ctx: Context, watched: Watched) -> Judge | BucketJudge:
    if not is_objects(watched.location.place):
        return Judge(ctx, watched)
    from dataguard.actions.bucketwatch import BucketJudge  # noqa: PLC0415  few need it

    return BucketJudge(ctx, watched)
