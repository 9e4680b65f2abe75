"""Compares the paths of which a watcher spoke with the manifest, and says what was done to them."""

from __future__ import annotations

import os
import stat
from dataclasses import field, replace
from typing import TYPE_CHECKING

from dataguard.actions.findings import finding_of
from dataguard.actions.observation import Reading, observe
from dataguard.core.baseline import is_usable
from dataguard.core.coverage import Gaps
from dataguard.core.touches import touched
from dataguard.core.verdicts import Difference, hazards, judge, merge_kind_changes
from dataguard.core.writers import writer_evidence
from dataguard.engines.serial import SerialEngine
from dataguard.model.dataclass import dataclass
from dataguard.model.digest import DigestPlan
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.model.finding import Code
from dataguard.model.ports import NoProgress
from dataguard.model.span import WHOLE, Span, inside
from dataguard.model.watch import ChangeKind
from dataguard.stores.local import LocalStore, exclusion
from dataguard.stores.lookup import Lookup

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    import pyarrow as pa

    from dataguard.actions.context import Context
    from dataguard.actions.watched import Watched
    from dataguard.core.suspects import Suspect
    from dataguard.model.finding import Finding
    from dataguard.stores.interface import Scanned

__all__ = ["SPECIAL", "Judge", "Judgement"]

_CHANGES = {
    Code.DG101: "modified",
    Code.DG102: "deleted",
    Code.DG103: "created",
    Code.DG104: "replaced",
    Code.DG106: "modified",
    Code.DG107: "modified",
}
"""What a write did, by the code that a comparison gives; other codes stay what they are."""

_SPECIAL_MODES = {
    stat.S_IFIFO: Obstacle.FIFO,
    stat.S_IFSOCK: Obstacle.SOCKET,
    stat.S_IFBLK: Obstacle.DEVICE,
    stat.S_IFCHR: Obstacle.DEVICE,
}

SPECIAL = (Obstacle.FIFO, Obstacle.SOCKET, Obstacle.DEVICE)
"""What is there and can be part of no version."""

_OWN = frozenset({ChangeKind.METADATA})
_PART = 1_000


@dataclass(frozen=True, slots=True)
class Judgement:
    """What came of some suspects: findings, and the paths of which nothing differs.

    `time` is when the first of them was looked at. Below a directory may be millions: their
    findings come in parts, and with the last one, which is not `partial`, what else there is.
    """

    watched: Watched
    time: datetime
    findings: tuple[Finding, ...]
    fine: tuple[bytes, ...] = ()
    events: int = 0
    partial: bool = False


class Judge:
    """Knows one version at one place; asks no catalog, so that a thread of its own can ask it."""

    def __init__(self, ctx: Context, watched: Watched) -> None:
        """Open the manifest.

        Raises:
            CatalogDamagedError: manifest or sheet cannot be trusted.
            StoreUnreachableError: the place does not answer.
        """
        version, location = watched.version, watched.location
        self._ctx, self.watched = ctx, watched
        self._store = LocalStore(
            location.place,
            host=ctx.actor.host,
            spread=SerialEngine().map,
            exclude=version.exclude,
        )
        usable = is_usable(location.filesystem, self._store.filesystem())
        self._baseline = usable and location.sheet is not None
        sheet = location.sheet if self._baseline else None
        self._lookup = Lookup(ctx.manifests, version.root, version.algorithm, sheet)
        self._excluded = exclusion(version.exclude)
        self._plan = DigestPlan(version.algorithm)

    def judge(
        self, suspects: Sequence[Suspect], people: Mapping[bytes, _Who]
    ) -> Iterator[Judgement]:
        """Yield what differs at the suspects, or below them where they are directories, in parts.

        `people` are who wrote, by the absolute path of a suspect.

        Raises:
            CatalogDamagedError: manifest or sheet cannot be read any more.
            NotFoundError: the place is gone.
            StoreUnreachableError: it does not answer.
        """
        time = self._ctx.clock()
        by_path = {self.watched.relative(one.path): one for one in suspects}
        notes = _Notes()
        singles, trees = self._regions(by_path, notes)
        told = _Telling(self._ctx, self.watched, by_path, people)
        findings: list[Finding] = []
        fine = dict.fromkeys(singles)
        for one in self._found(singles, trees, notes):  # below a new directory may be many
            fine.pop(one.path, None)
            if not self._is_excluded(one.path):
                findings.append(told.finding(one))
            if len(findings) == _PART:
                yield Judgement(self.watched, time, tuple(findings), partial=True)
                findings.clear()
        events = sum(one.events for one in suspects)
        yield Judgement(self.watched, time, tuple(findings), tuple(fine), events)

    def _found(
        self, singles: list[bytes], trees: Sequence[bytes], notes: _Notes
    ) -> Iterator[Difference]:
        yield from self._paths(singles, notes)
        for tree in trees:
            yield from self._tree(tree, notes)
        yield from notes.differences()

    def _regions(
        self, suspects: Mapping[bytes, Suspect], notes: _Notes
    ) -> tuple[list[bytes], list[bytes]]:
        """Return the paths to look at by themselves, and those with all below them; in order."""
        singles: list[bytes] = []
        trees: list[bytes] = []
        for path in sorted(suspects):
            if trees and path.startswith(trees[-1] + b"/"):
                continue
            suspect = suspects[path]
            mode = self._mode(path)
            obstacle = _SPECIAL_MODES.get(stat.S_IFMT(mode))
            if obstacle is not None:
                notes.unreadable.append(Unreadable(path, obstacle, ""))
            elif not (suspect.is_directory or stat.S_ISDIR(mode)):
                singles.append(path)
            elif suspect.kinds != _OWN:
                trees.append(path)
            elif self._is_empty(path):
                singles.append(path)
        # `a-b` comes between `a` and `a/b`.
        tops = set(trees)
        return [path for path in singles if not _is_below(path, tops)], [
            path for path in trees if not _is_below(path, tops)
        ]

    def _paths(self, paths: list[bytes], notes: _Notes) -> Iterator[Difference]:
        if paths:
            expected = self._lookup.at(paths)
            yield from self._differences(_Paths(self._store, paths), expected, WHOLE, notes)

    def _tree(self, path: bytes, notes: _Notes) -> Iterator[Difference]:
        span = Span(_before(path), inside(path).through)
        yield from self._differences(self._store, self._lookup.within(span), span, notes)

    def _differences(
        self,
        store: LocalStore | _Paths,
        expected: Iterator[pa.RecordBatch],
        span: Span,
        notes: _Notes,
    ) -> Iterator[Difference]:
        yield from merge_kind_changes(self._judged(store, expected, span, notes))

    def _judged(
        self,
        store: LocalStore | _Paths,
        expected: Iterator[pa.RecordBatch],
        span: Span,
        notes: _Notes,
    ) -> Iterator[Difference]:
        reading = Reading(full=False, baseline=self._baseline)
        for seen in observe(store, expected, self._plan, reading, NoProgress(), span=span):
            notes.add(seen.unreadable)
            found = judge(seen.window, baseline=self._baseline, sheet=self._baseline)
            if self._baseline:
                found += touched(seen.window, beside={one.path for one in found})
            found += hazards(seen.window.right)
            known = (one for one in found if not notes.gaps.explain(one))
            yield from sorted(known, key=lambda one: one.path)

    def _is_excluded(self, path: bytes) -> bool:
        return self._excluded is not None and self._excluded(path, False)

    def _mode(self, path: bytes) -> int:
        """Return what is at a path, 0 where nothing is or nobody can tell."""
        try:
            return os.lstat(self._absolute(path)).st_mode
        except OSError:
            return 0

    def _is_empty(self, path: bytes) -> bool:
        try:
            with os.scandir(self._absolute(path)) as entries:
                return next(entries, None) is None
        except OSError:
            return False

    def _absolute(self, path: bytes) -> bytes:
        return os.path.join(self.watched.root, path)


_Who = tuple[str | None, str | None]
"""The user's name, and the run."""


class _Paths:
    """A store that shows the given paths and nothing else."""

    def __init__(self, store: LocalStore, paths: list[bytes]) -> None:
        self.place = store.place
        self._store = store
        self._paths = paths

    def scan(self, plan: DigestPlan, *, read: bool, span: Span = WHOLE) -> Iterator[Scanned]:
        del span
        return self._store.read_paths(self._paths, plan, read=read)

    def read(self, entries: Iterable[pa.RecordBatch], plan: DigestPlan) -> Iterator[Scanned]:
        return self._store.read(entries, plan)

    def filesystem(self) -> None:
        return None


@dataclass(slots=True)
class _Notes:
    """What could not be looked at."""

    gaps: Gaps = field(default_factory=Gaps)
    unreadable: list[Unreadable] = field(default_factory=list)

    def add(self, unreadable: Sequence[Unreadable]) -> None:
        self.gaps.add(unreadable)
        self.unreadable += [one for one in unreadable if one.obstacle is not Obstacle.VANISHED]

    def differences(self) -> Iterator[Difference]:
        for one in self.unreadable:
            evidence = {"obstacle": str(one.obstacle)}
            if one.obstacle in SPECIAL:
                yield Difference(Code.DG103, one.path, f"it {one.obstacle}", evidence)
            elif one.obstacle is Obstacle.UNSTABLE:
                yield Difference(Code.DG106, one.path, one.detail, evidence)
            else:
                message = f"it was changed, and cannot be read: {one.detail or one.obstacle}"
                yield Difference(Code.DG902, one.path, message, evidence)


@dataclass(frozen=True, slots=True)
class _Telling:
    """Makes findings of differences that a watcher led to."""

    ctx: Context
    watched: Watched
    suspects: Mapping[bytes, Suspect]
    people: Mapping[bytes, _Who]

    def finding(self, difference: Difference) -> Finding:
        """Return a difference as a write, with who did it."""
        suspect = self._suspect(difference.path)
        change = _CHANGES.get(difference.code)
        evidence = {**difference.evidence, **self._who(suspect)}
        if change is not None:
            evidence |= {"finding": difference.code.name, "change": change}
            evidence |= self._move(suspect, difference)
            difference = replace(difference, code=Code.DG301)
        version = self.watched.version
        told = replace(difference, evidence=evidence)
        return finding_of(self.ctx, told, version.dataset, version.number, self.ctx.clock())

    def _suspect(self, path: bytes) -> Suspect | None:
        """Return the suspect at a path or at the nearest directory above it."""
        while path not in self.suspects:
            path, found, _ = path.rpartition(b"/")
            if not found:
                return None
        return self.suspects[path]

    def _move(self, suspect: Suspect | None, difference: Difference) -> dict[str, object]:
        """Return where an entry came from or went, with the directory that holds it or alone."""
        if suspect is None:
            return {}
        below = difference.path[len(self.watched.relative(suspect.path)) :]
        if suspect.renamed_from is not None:
            change = {"change": "renamed"} if difference.code is Code.DG103 else {}
            return {**change, "renamed_from": os.fsdecode(suspect.renamed_from + below)}
        if suspect.renamed_to is not None and difference.code is Code.DG102:
            return {"change": "renamed", "renamed_to": os.fsdecode(suspect.renamed_to + below)}
        return {}

    def _who(self, suspect: Suspect | None) -> dict[str, object]:
        if suspect is None:
            return {"writer": writer_evidence(None)}
        user, run = self.people.get(suspect.path, (None, None))
        return {"writer": writer_evidence(suspect.writer, user=user, run=run)}


def _is_below(path: bytes, tops: set[bytes]) -> bool:
    while b"/" in path:
        path = path.rpartition(b"/")[0]
        if path in tops:
            return True
    return False


def _before(path: bytes) -> bytes:
    """Return what comes before a path, with nothing that a name could be in between."""
    return path[:-1] + bytes([path[-1] - 1]) + b"\xff" * 256
