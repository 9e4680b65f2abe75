"""What a watcher did not see: told where it begins, and remembered until somebody compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.actions.findings import finding_of
from dataguard.core.chain import format_time
from dataguard.core.objectplaces import is_objects
from dataguard.core.verdicts import Difference
from dataguard.model.watch import GapKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from dataguard.actions.context import Context
    from dataguard.actions.watchplaces import Place, Places
    from dataguard.actions.watchtelling import Telling
    from dataguard.model.finding import Finding
    from dataguard.model.watch import Gap
    from dataguard.stores.heartbeat import Heartbeat

__all__ = ["Gaps", "downtime"]

_SAME_GAP_S = 300.0
_SHARE_OF_LISTINGS = 10
"""Listings cost money where they are many."""

_OVER_AT_ONCE = (GapKind.OVERFLOW, GapKind.READER_DIED, GapKind.DOWN)


def downtime(beat: Heartbeat, now: datetime) -> Difference:
    """Return what to tell of a place that nobody watched from a heartbeat until now."""
    message = f"nobody watched from {beat.seen:%Y-%m-%d %H:%M:%SZ} to {now:%Y-%m-%d %H:%M:%SZ}"
    since, until = format_time(beat.seen), format_time(now)
    evidence = {"from": since, "to": until, "stopped": beat.stopped}
    return Difference(GapKind.DOWN.code, b"", message, evidence)


class Gaps:
    """Tells gaps, and has the places compared that they are about; `count` says how many."""

    def __init__(
        self, ctx: Context, telling: Telling, places: Places, timer: Callable[[], float]
    ) -> None:
        self._ctx = ctx
        self._telling = telling
        self._places = places
        self._timer = timer
        self.count = 0

    def take(self, gap: Gap) -> None:
        """Tell a gap of a source, and have the places compared that have its root."""
        self.count += 1
        now = self._timer()
        for place in self._places.at(gap.root):
            self._tell_of_source(place, gap)
            if gap.kind is GapKind.NO_EVENTS:
                continue
            place.missed_at = self._ctx.clock()
            if gap.kind not in _OVER_AT_ONCE:
                place.lasting_gap_at = now
            share = _SHARE_OF_LISTINGS if is_objects(place.watched.location.place) else 1
            place.compare_soon(now, after_s=share * place.spent_s)

    def take_found(self, gaps: Sequence[Finding]) -> None:
        """Tell gaps that are findings already: those of areas."""
        if gaps:
            self.count += len(gaps)
            self._telling.tell_gaps(gaps)

    def was_down(self, place: Place, beat: Heartbeat) -> None:
        """Tell that nobody watched a place since a heartbeat."""
        self.count += 1
        self.tell(place, downtime(beat, self._ctx.clock()))

    def tell(self, place: Place, difference: Difference) -> None:
        """Tell a gap, but not the same one every minute while it lasts."""
        now, same = self._timer(), (difference.code, difference.path)
        last = place.gaps.get(same)
        if last is not None and now - last < _SAME_GAP_S:
            return
        place.gaps[same] = now
        version = place.watched.version
        gap = finding_of(self._ctx, difference, version.dataset, version.number, self._ctx.clock())
        self._telling.tell_gaps([gap])

    def _tell_of_source(self, place: Place, gap: Gap) -> None:
        evidence = {"gap": str(gap.kind), "time": format_time(gap.time)}
        path = place.watched.relative(gap.path)
        self.tell(place, Difference(gap.kind.code, path, gap.message, evidence))
