"""The places of a watcher: what is known of each, and what is to be done about it."""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING

from dataguard.actions.watched import OpenAreas, quiet_until
from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from dataguard.actions.context import Context
    from dataguard.actions.watched import Watched
    from dataguard.actions.watchtelling import Telling
    from dataguard.model.finding import Code

__all__ = ["REFRESH_S", "Place", "Places"]

REFRESH_S = 2.0
"""How often what may have changed outside is looked up again."""

_AFTER_GAP_S = 0.5


@dataclass(slots=True)
class Place:
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

    def compare_soon(self, now: float, *, after_s: float = 0.0) -> None:
        """Have the place compared in a moment, since more may follow at once."""
        self.compare_at = min(self.compare_at, now + max(_AFTER_GAP_S, after_s))


class Places:
    """All places that are watched now; `areas` says what of them is open for outputs."""

    def __init__(self, ctx: Context, telling: Telling, timer: Callable[[], float]) -> None:
        self._ctx = ctx
        self._telling = telling
        self._timer = timer
        self._places: dict[tuple[str, str], Place] = {}
        self.areas = OpenAreas(ctx)

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Place]:
        return iter(self._places.values())

    @property
    def keys(self) -> tuple[tuple[str, str], ...]:
        """The keys of all places."""
        return tuple(self._places)

    @property
    def blind(self) -> int:
        """How many places are not seen in full."""
        return sum(one.blind for one in self)

    @property
    def versions(self) -> tuple[tuple[str, int], ...]:
        """The dataset and number of each version that is watched, once."""
        found = (one.watched.version for one in self)
        return tuple(dict.fromkeys((one.dataset, one.number) for one in found))

    def audit_ages(self, now: datetime) -> dict[tuple[str, int], float]:
        """Return how many seconds ago each version that was ever audited was so last."""
        ages = {}
        for dataset, number in self.versions:
            last = self._ctx.catalog.last_audit(dataset, number)
            if last is not None:
                ages[dataset, number] = (now - last.finished).total_seconds()
        return ages

    def get(self, key: tuple[str, str]) -> Place | None:
        """Return a place; None where it is not watched any more."""
        return self._places.get(key)

    def at(self, root: bytes) -> list[Place]:
        """Return the places with one root: each dataset that lies there has its own."""
        return [one for one in self if one.watched.root == root]

    def add(self, one: Watched) -> Place:
        """Take in a place; it is not compared before somebody says when."""
        place = self._places[one.key] = Place(one, compare_at=float("inf"))
        return place

    def remove(self, key: tuple[str, str]) -> Place:
        """Take out a place, and return it."""
        return self._places.pop(key)

    def update(self, one: Watched) -> None:
        """Go on with what the catalog says now of a place that is here."""
        place = self._places[one.key]
        if place.watched != one:
            self.change(place, one)

    def refresh_areas(self) -> None:
        """Look up again what is open for outputs."""
        self.areas = OpenAreas(self._ctx)

    def change(self, place: Place, one: Watched) -> None:
        """Go on with another version or baseline of the same place."""
        if one.version != place.watched.version:
            self._telling.learn(one, None)
        place.watched = one
        place.compare_at = self._timer()

    def fresh(self, place: Place) -> Watched:
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
        self.change(place, replace(old, version=version, location=location))
        return place.watched

    def is_quiet(self, place: Place) -> bool:
        """Whether writes are expected now; has the place compared when that is over."""
        until, reason = quiet_until(self._ctx, place.watched)
        if not reason:
            if place.quiet:
                place.quiet = False
                place.compare_at = min(place.compare_at, self._timer())
            return False
        if not place.quiet:
            self._telling.outlets.remark(f"{place.watched.location.place} is not watched: {reason}")
        place.quiet = True
        left_s = REFRESH_S if until is None else (until - self._ctx.clock()).total_seconds()
        place.compare_at = self._timer() + min(max(left_s, 0.1), REFRESH_S)
        return True
