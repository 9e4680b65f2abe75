"""Which places a watcher watches: those that the catalog says, as they come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.actions.watched import watched
from dataguard.errors import NotFoundError
from dataguard.sandbox.processes import is_alive

if TYPE_CHECKING:
    from collections.abc import Callable

    from dataguard.actions.context import Context
    from dataguard.actions.watchgaps import Gaps
    from dataguard.actions.watchjudging import Judging
    from dataguard.actions.watchplaces import Place, Places
    from dataguard.actions.watchsources import Sources
    from dataguard.actions.watchtelling import Telling
    from dataguard.stores.heartbeat import Heartbeats

__all__ = ["Roster"]


class Roster:
    """Keeps the places, and what depends on them, as the catalog says."""

    def __init__(
        self,
        ctx: Context,
        telling: Telling,
        places: Places,
        *,
        names: tuple[str, ...],
        gaps: Gaps,
        sources: Sources,
        judging: Judging,
        beats: Heartbeats,
        timer: Callable[[], float],
    ) -> None:
        self._ctx = ctx
        self._telling = telling
        self._places = places
        self._names = names
        self._gaps = gaps
        self._sources = sources
        self._judging = judging
        self._beats = beats
        self._timer = timer

    def refresh(self, *, first: bool = False) -> None:
        """Watch what the catalog says now: places come, go, and get other versions.

        Raises:
            NotFoundError: the first time: there is nothing to watch.
            StoreUnreachableError: the first time: one that was named is not on this host.
        """
        try:
            now_watched = watched(self._ctx, self._names, all_named=first)
        except NotFoundError:
            if first:
                raise
            now_watched = ()
        wanted = {one.key: one for one in now_watched}
        for key in self._places.keys:
            if key not in wanted:
                self._leave(key)
        new = [
            self._places.add(one) for key, one in wanted.items() if self._places.get(key) is None
        ]
        self._sources.open_unseen()
        for place in new:
            self._enter(place)
        for one in wanted.values():
            self._places.update(one)
        self._places.refresh_areas()
        self._judging.refresh()

    def _enter(self, place: Place) -> None:
        """Begin with a place that is watched by now: so nothing falls in between."""
        beat = self._beats.read(place.watched.location.place)
        self._telling.learn(place.watched, None if beat is None else beat.told)
        if beat is not None and not is_alive(beat.process):
            self._gaps.was_down(place, beat)
        place.compare_at = self._timer()

    def _leave(self, key: tuple[str, str]) -> None:
        place = self._places.remove(key).watched
        self._judging.leave(place)
        self._sources.leave(place.root)
