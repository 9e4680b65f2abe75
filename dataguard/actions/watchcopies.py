"""Copies of gold found while they are made: files closed in workspaces, outputs and scratch areas.

A thread of its own with a source of its own: what goes on in areas never holds up gold. A file
whose size occurs nowhere in gold costs one `stat`; the others are compared as `copies` does.
"""

from __future__ import annotations

import os
import stat
import threading
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dataguard.actions.attribution import Attribution
from dataguard.actions.copies import Wish, copies
from dataguard.actions.copyareas import copy_areas
from dataguard.actions.goldindex import gold_index
from dataguard.actions.permission import permission
from dataguard.catalog.repository import Catalog
from dataguard.core.numeric import np
from dataguard.core.suspects import Suspects
from dataguard.core.writers import writer_evidence
from dataguard.engines.serial import SerialEngine
from dataguard.errors import DataguardError
from dataguard.model.finding import Code, Finding
from dataguard.model.ports import NoProgress
from dataguard.model.watch import Gap, GapKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from dataguard.actions.context import Context
    from dataguard.core.chain import Head
    from dataguard.core.goldindex import GoldIndex
    from dataguard.core.suspects import Suspect
    from dataguard.model.watch import Sighting, WatchEvent
    from dataguard.watchers.interface import Watcher

__all__ = ["Copied", "CopyWatch", "NotWatched"]

_REFRESH_S = 2.0
_ANYWAY_S = 10.0
"""How often areas are looked up where no record changed: one may have been made meanwhile."""

_NO_AREAS_S = 5.0
_READ_S = 0.2
_IDLE_S = 0.5
"""How long to wait for the first event where nothing waits to be judged."""

_BATCH = 2_000
_MOST_SUSPECTS = 100_000
_SAME_GAP_S = 300.0

_Who = tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class Copied:
    """What came of files in areas: copies, gaps, and paths that are no copy of these versions."""

    findings: tuple[Finding, ...]
    gaps: tuple[Finding, ...] = ()
    fine: tuple[bytes, ...] = ()
    versions: tuple[tuple[str, int], ...] = ()
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class NotWatched:
    """An area of which copies are not told as they are made, and why."""

    place: str
    reason: str


class CopyWatch:
    """Watches areas until it is closed; `put` is told what was found, from its thread.

    `names` are the datasets whose copies are told; none: all.
    """

    def __init__(
        self,
        ctx: Context,
        new_watcher: Callable[[], Watcher],
        put: Callable[[Copied | NotWatched | Exception], None],
        *,
        names: Sequence[str],
        timer: Callable[[], float],
    ) -> None:
        self._ctx = ctx
        self._new_watcher = new_watcher
        self._put = put
        self._names = frozenset(names)
        self._timer = timer
        self._ended = threading.Event()
        self._left_out: set[bytes] = set()
        self._thread = threading.Thread(target=self._guarded, name="watch-copies", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Look at what came until now, and end."""
        self._ended.set()
        self._thread.join()

    def _guarded(self) -> None:
        try:
            self._run()
        except Exception as err:  # noqa: BLE001  a worker's border: whoever watches must learn of it
            self._put(err)

    def _run(self) -> None:
        ctx = self._ctx
        with (
            Catalog.open(
                ctx.settings.catalog.value,
                events=os.path.join(ctx.settings.home.value, "events"),
                clock=ctx.clock,
                actor=ctx.actor,
                allow=permission(ctx.policy),
                create=False,
            ) as catalog,
            ExitStack() as opened,
        ):
            own = replace(ctx, catalog=catalog, engine=SerialEngine(), progress=NoProgress())
            areas = _Areas(own, self._new_watcher, self._put, opened, self._ended)
            judge = _Judge(own, self._names)
            asked = refreshed = float("-inf")
            head: Head | None = None
            while not self._ended.is_set():
                now = self._timer()
                if now - asked >= _REFRESH_S:
                    asked, before, head = now, head, own.catalog.head()
                    if head != before or now - refreshed >= _ANYWAY_S:
                        areas.refresh()
                        judge.refresh()
                        refreshed = now
                self._look(areas, judge, self._timer())
            self._look(areas, judge, float("inf"))

    def _look(self, areas: _Areas, judge: _Judge, now: float) -> None:
        gaps = []
        wait_s = _READ_S if judge.has_suspects else _IDLE_S
        for sighting in areas.read(wait_s if now < float("inf") else 0.0):
            if isinstance(sighting, Gap) and sighting.kind is GapKind.LEFT_OUT:
                self._leave_out(sighting)
            elif isinstance(sighting, Gap):
                gaps += judge.gap(sighting, self._timer())
            else:
                gaps += judge.see(sighting, self._timer())
        if gaps:
            self._put(Copied((), tuple(gaps)))
        found = judge.due(now)
        if found is not None:
            self._put(found)

    def _leave_out(self, gap: Gap) -> None:
        """Say once that a mount in an area is left out; nothing of gold is missed by that."""
        if gap.path not in self._left_out:
            self._left_out.add(gap.path)
            reason = "somebody else's mount, which this user may not look into, is left out"
            self._put(NotWatched(os.fsdecode(gap.path), reason))


class _Areas:
    """The watchers of all areas: one for those that came together."""

    def __init__(
        self,
        ctx: Context,
        new_watcher: Callable[[], Watcher],
        put: Callable[[NotWatched], None],
        opened: ExitStack,
        ended: threading.Event,
    ) -> None:
        self._ended = ended
        self._ctx = ctx
        self._new_watcher = new_watcher
        self._put = put
        self._opened = opened
        self._known: set[str] = set()
        self._watchers: list[Watcher] = []

    def refresh(self) -> None:
        """Watch what came since; what went tells of no more files by itself."""
        new = [one.place for one in copy_areas(self._ctx) if one.place not in self._known]
        self._known.update(new)
        if new and self._start(new) is not None:
            for place in new:  # one that cannot be watched is no reason to leave the others
                reason = self._start([place])
                if reason is not None:
                    self._put(NotWatched(place, reason))

    def _start(self, places: Sequence[str]) -> str | None:
        """Watch places by one source; return why that cannot be."""
        watcher = self._new_watcher()
        try:
            watcher.start([os.fsencode(place) for place in places])
        except DataguardError as err:
            watcher.close()
            return err.message
        self._watchers.append(watcher)
        self._opened.callback(watcher.close)
        return None

    def read(self, timeout: float) -> Iterator[Sighting]:
        """Yield what was seen within the time; without an area, when one may have come."""
        if not self._watchers and timeout:
            self._ended.wait(_NO_AREAS_S)
        for watcher in self._watchers:
            yield from watcher.read(timeout / len(self._watchers))


class _Judge:
    """Decides which files are copies of gold."""

    def __init__(self, ctx: Context, names: frozenset[str]) -> None:
        self._ctx = ctx
        self._names = names
        self._suspects = Suspects()
        self._people = Attribution(ctx)
        self._who: dict[bytes, _Who] = {}
        self._versions: object = None
        self._index: GoldIndex | None = None
        self._gaps: dict[tuple[Code, bytes], float] = {}

    @property
    def has_suspects(self) -> bool:
        """Whether files wait to be looked at."""
        return bool(len(self._suspects))

    def refresh(self) -> None:
        """Learn which versions there are, and which runs."""
        versions = tuple((one.root, one.state) for one in self._ctx.catalog.versions())
        if versions != self._versions:
            self._index, self._versions = gold_index(self._ctx), versions
        self._people.refresh(self._ctx)

    def see(self, event: WatchEvent, now: float) -> list[Finding]:
        """Take an event; whose it was is asked at once, while the process may live.

        Where too many files wait they are given up, and that is told.
        """
        self._suspects.add(event, now)
        if event.writer is not None and event.writer.is_known:
            self._who[event.path] = self._people.of(event.writer)
        if len(self._suspects) <= _MOST_SUSPECTS:
            return []
        self._suspects.forget(event.root)
        self._who.clear()
        words = "more files came than could be looked at"
        return self.gap(Gap(event.root, event.root, GapKind.OVERFLOW, words, event.time), now)

    def gap(self, gap: Gap, now: float) -> list[Finding]:
        """Return what was not seen, told at most every five minutes."""
        if gap.kind is GapKind.MOUNTED_OVER and gap.path != gap.root:
            return []  # what is mounted below an area is left out
        key = gap.kind.code, gap.path
        if now - self._gaps.get(key, float("-inf")) < _SAME_GAP_S:
            return []
        self._gaps[key] = now
        words = f"copies may have been missed: {gap.message}"
        return [self._finding(gap.kind.code, gap.path, words, {"gap": str(gap.kind)})]

    def _finding(
        self, code: Code, path: bytes, message: str, evidence: dict[str, object]
    ) -> Finding:
        now, severity = self._ctx.clock(), self._ctx.policy.severity_of(code)
        return Finding(code, severity, path, message, now, now, evidence=evidence)

    def due(self, now: float) -> Copied | None:
        """Return what came of the files that are to be looked at now; None where none is."""
        suspects = {one.path: one for one in self._suspects.due(now, most=_BATCH)}
        if not suspects or self._index is None:
            return None
        time = self._ctx.clock()
        files = tuple(_files(suspects))
        listed = self._candidates(files)
        found: dict[bytes, Finding] = {}
        if listed:
            result = copies(self._ctx, (), listed, Wish(dry_run=True))
            found = {
                one.path: self._named(one, suspects.get(one.path))
                for one in result.findings
                if not self._names or one.dataset in self._names
            }
        fine = tuple(path for path in {*files, *suspects} if path not in found)
        for path in suspects:
            self._who.pop(path, None)
        versions = tuple((one.dataset, one.number) for one in self._index.versions)
        return Copied(tuple(found.values()), (), fine, versions, time)

    def _candidates(self, paths: Sequence[bytes]) -> tuple[bytes, ...]:
        """Return the files whose size occurs in gold."""
        sizes = np.fromiter(map(_size, paths), np.int64, len(paths))
        if self._index is None or not len(sizes):
            return ()
        kept = np.flatnonzero(self._index.may_hold(sizes) & (sizes > 0)).tolist()
        return tuple(paths[at] for at in kept)

    def _named(self, finding: Finding, suspect: Suspect | None) -> Finding:
        writer = None if suspect is None else suspect.writer
        user, run = self._who.get(finding.path, (None, None))
        who = writer_evidence(writer, user=user, run=run)
        return replace(finding, evidence={**finding.evidence, "writer": who})


def _files(suspects: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the suspects, in place of directories that came the files below them."""
    for path in suspects:
        if not os.path.isdir(path) or os.path.islink(path):
            yield path
            continue
        for directory, _, names in os.walk(path):
            for name in names:
                yield os.path.join(directory, name)


def _size(path: bytes) -> int:
    """Return the size of a regular file; 0 of what is none, or is gone."""
    try:
        found = os.lstat(path)
    except OSError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0
