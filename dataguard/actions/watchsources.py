"""The sources of a watcher: which roots they watch, and which are tried again later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.actions.watchthreads import Pump
from dataguard.core.verdicts import Difference
from dataguard.errors import DataguardError
from dataguard.model.finding import Code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dataguard.actions.watchgaps import Gaps
    from dataguard.actions.watchplaces import Places
    from dataguard.actions.watchthreads import Inbox
    from dataguard.model.watch import Coverage
    from dataguard.watchers.interface import Watcher

__all__ = ["Sources"]

_TRIED_AGAIN = 10
"""A root that cannot be watched is tried again after so many times what the attempt took."""


class Sources:
    """Has every root watched by one source, each of which is read in a thread of its own."""

    def __init__(
        self,
        new_watcher: Callable[[], Watcher],
        places: Places,
        inbox: Inbox,
        *,
        gaps: Gaps,
        is_crowded: Callable[[], bool],
        timer: Callable[[], float],
    ) -> None:
        self._new_watcher = new_watcher
        self._places = places
        self._gaps = gaps
        self._inbox = inbox
        self._is_crowded = is_crowded
        self._timer = timer
        self._pumps: dict[bytes, Pump] = {}
        self._coverage: dict[bytes, Coverage] = {}

    def open_unseen(self) -> None:
        """Watch the roots that no source watches, and that are to be tried now."""
        self._open(dict.fromkeys(self._unseen()))

    def coverage(self, root: bytes) -> Coverage | None:
        """Return what sees a root; None where nothing does."""
        return self._coverage.get(root)

    def leave(self, root: bytes) -> None:
        """Watch a root no more, unless a place has it; a source ends with its last root."""
        if self._places.at(root):
            return
        pump = self._pumps.pop(root, None)
        self._coverage.pop(root, None)
        if pump is not None and pump not in self._pumps.values():
            pump.close()

    def close(self) -> None:
        """Read no source any more."""
        for pump in {id(one): one for one in self._pumps.values()}.values():
            pump.close()
        self._pumps.clear()

    def _unseen(self) -> Iterable[bytes]:
        now = self._timer()
        for place in self._places:
            if place.watched.root not in self._pumps and now >= place.open_at:
                yield place.watched.root

    def _open(self, roots: Iterable[bytes]) -> None:
        """Have one source watch some roots; where it cannot, each of them has its own."""
        wanted = tuple(roots)
        if not wanted:
            return
        began = self._timer()
        try:
            self._start(wanted)
        except DataguardError as err:
            if len(wanted) > 1:
                for root in wanted:
                    self._open((root,))
                return
            self._could_not(wanted[0], err, began)
        else:
            for root in wanted:
                for place in self._places.at(root):
                    place.compare_at = began  # what happened before nobody saw

    def _start(self, roots: tuple[bytes, ...]) -> None:
        watcher = self._new_watcher()
        try:
            covered = watcher.start(roots)
        except DataguardError:
            watcher.close()
            raise
        self._pumps |= dict.fromkeys(roots, Pump(watcher, self._inbox, self._is_crowded))
        self._coverage |= {one.root: one for one in covered}

    def _could_not(self, root: bytes, err: DataguardError, began: float) -> None:
        for place in self._places.at(root):  # what became of it the comparison says
            self._gaps.tell(place, Difference(Code.DG902, b"", err.message, {"gap": "unreadable"}))
            place.lasting_gap_at = now = self._timer()
            place.open_at = now + _TRIED_AGAIN * (now - began)
