"""Finds files that hold parts of gold anywhere: embedded, cut out, shifted, joined."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from dataclasses import field
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple, Self

from dataguard.actions.chunking import chunk_index
from dataguard.actions.copylooks import Looked, Looks, question
from dataguard.actions.copymatch import originals
from dataguard.actions.places import share_of
from dataguard.core.chunkmatch import LEAST_SHARED, Cover, covered, part_told, promising
from dataguard.core.chunks import LEAST_FILE
from dataguard.core.extents import bytes_of_others
from dataguard.core.paths import display
from dataguard.model.copies import Copy, CopyKind
from dataguard.model.dataclass import dataclass
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.stores.beginnings import Beginnings
from dataguard.stores.chunkindexes import ChunkIndexes
from dataguard.stores.cutting import CutUnit, cut_file, signature
from dataguard.stores.manifestrows import paths_at
from dataguard.stores.obstacles import unreadable
from dataguard.stores.spans import common_span

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from dataguard.actions.context import Context
    from dataguard.actions.copyfiles import PlaceFiles
    from dataguard.core.chunkmatch import ChunkIndex, Chunks, Hit, Span
    from dataguard.model.dataset import Version
    from dataguard.stores.copylook import CopyLook
    from dataguard.stores.cutting import CutFile

__all__ = ["chunk_copies"]

_PLACES_MAX = 16
"""Places of one chunk in a version that are looked at."""

_TOLD_MAX = 16
"""Runs of bytes that the evidence names, the longest."""

_Source = tuple[int, int]
"""A file of gold: a version by its number, and a row of its manifest."""


def chunk_copies(
    ctx: Context,
    files: PlaceFiles,
    versions: Sequence[Version],
    known: Collection[bytes],
    *,
    min_size: int = LEAST_FILE,
) -> Looked:
    """Return the files of 1 MiB or more that have half a MiB or more in common with gold's.

    `known` are absolute paths of files not to look at. Each of the others is read and cut; chunks
    that gold has nominate, and the bytes around them are compared with gold's: what is told lies
    in both.

    Raises:
        CatalogDamagedError: a manifest or sheet is damaged.
    """
    found = Looked()
    with _Gold(ctx, versions) as gold:
        asked = question("chunks", gold.asked)
        least = max(min_size, LEAST_FILE)
        looks = Looks(
            ctx, files, CopyKind.PARTIAL, name="chunks", asked=asked, least=least, known=known
        )
        rate = share_of(ctx, files.rate)
        units = (CutUnit(files.place, path, rate=rate) for path in looks.unseen(paced=False))
        for unit, cut in ctx.engine.map(cut_file, units):
            gaps = len(gold.gaps)
            copy = _judged(gold, files, unit.path, cut)
            if not isinstance(copy, Unreadable):
                copies = () if copy is None else (copy,)
                found.copies += copies
                if len(gold.gaps) == gaps and not gold.lacks_files:
                    looks.note(unit.path, copies)
            elif copy.obstacle is not Obstacle.VANISHED:
                found.unreadable.append(copy)
        found.unreadable += gold.gaps
    found.take(looks)
    return found


def _judged(
    gold: _Gold, files: PlaceFiles, path: bytes, cut: CutFile | Unreadable
) -> Copy | Unreadable | None:
    """Return what a file is that was cut; None where it is no copy."""
    if isinstance(cut, Unreadable):
        return cut
    try:
        return _copy(gold, files, path, cut)
    except OSError as err:
        return unreadable(path, err)


class _Original(NamedTuple):
    """A file of gold: the path in its version, and its size."""

    entry: bytes
    size: int


@dataclass(slots=True)
class _Common:
    """What a file has in common with gold; `unlike` are files of gold that lack their chunks."""

    spans: list[Span] = field(default_factory=list)
    originals: dict[_Source, _Original] = field(default_factory=dict)
    unlike: dict[_Source, bytes] = field(default_factory=dict)


class _Gold:
    """The chunks of versions that lie on this host, and their files to compare with."""

    def __init__(self, ctx: Context, versions: Sequence[Version]) -> None:
        self._ctx = ctx
        self._opened = ExitStack()
        self._sources: dict[int, Beginnings] = {}
        self._indexes: dict[int, ChunkIndex] = {}
        self._unlike: set[_Source] = set()
        self.versions = versions
        self.homes = [originals(ctx, version) for version in versions]
        self.gaps: list[Unreadable] = []
        self.asked: object = ()

    @property
    def lacks_files(self) -> bool:
        """Whether files of gold turned out to be not what was cut, or not readable."""
        return bool(self._unlike)

    def __enter__(self) -> Self:
        home = self._ctx.settings.home.value
        ChunkIndexes(home).prune({one.root.hex for one in self._ctx.catalog.versions()})
        for number, (version, place) in enumerate(zip(self.versions, self.homes, strict=True)):
            if place is None:
                self._gap(number, "its files are not on this host")
                continue
            try:
                self._sources[number] = self._opened.enter_context(Beginnings(place))
            except OSError as err:
                self._gap(number, f"cannot open {place}: {err.strerror}")
                continue
            self._indexes[number], missed = chunk_index(self._ctx, version, place)
            if missed:
                self._gap(number, f"{missed:,} of its files cannot be read, or were changed")
        # What is told depends on this, beside the file.
        named = [(str(one.reference), one.root.hex) for one in self.versions]
        self.asked = named, self.homes, tuple(one.detail for one in self.gaps)
        return self

    def __exit__(self, *_exc: object) -> None:
        self._opened.close()

    def hits(self, chunks: Chunks) -> list[Hit]:
        """Return where the chunks of a file occur in gold, the most promising first."""
        found = self._indexes.items()
        return promising(
            hit for number, one in found for hit in one.find(chunks, number, most=_PLACES_MAX)
        )

    def common(self, descriptor: int, hits: Sequence[Hit]) -> _Common:
        """Return what an open file has in common with gold, the hits taken in their order.

        Raises:
            OSError: the file cannot be read.
        """
        entries = self._entries({hit.source for hit in hits} - self._unlike)
        cover, found = Cover(), _Common()
        for source, run in groupby(hits, key=attrgetter("source")):
            if source not in entries or source in found.unlike:
                continue
            with self._reading(source, entries[source]) as gold:
                if gold is None:
                    continue
                found.originals[source] = _Original(entries[source], os.fstat(gold).st_size)
                if not all(_take(cover, descriptor, gold, hit) for hit in run):
                    found.unlike[source] = entries[source]
        found.spans = cover.spans
        return found

    def blame(self, unlike: Mapping[_Source, bytes]) -> None:
        """Note files of gold that do not hold the chunks they were cut into."""
        for source, entry in unlike.items():
            self._unlike.add(source)
            self._gap(source[0], f"{display(entry)} is not what was cut; audit it")

    @contextmanager
    def _reading(self, source: _Source, entry: bytes) -> Iterator[int | None]:
        """Hold a file of gold open; None where it cannot be, which is noted."""
        with ExitStack() as opened:
            try:
                descriptor = opened.enter_context(self._sources[source[0]].reading(entry))
            except OSError as err:
                self._unlike.add(source)
                self._gap(source[0], f"{display(entry)}: {err.strerror}")
                yield None
                return
            yield descriptor

    def _entries(self, sources: Collection[_Source]) -> dict[_Source, bytes]:
        """Return the paths of files of gold."""
        found: dict[_Source, bytes] = {}
        for number in {number for number, _ in sources}:
            rows = sorted(row for one, row in sources if one == number)
            manifest = self._ctx.manifests.manifest_path(self.versions[number].root)
            entries = paths_at(manifest, rows)
            found |= {(number, row): one for row, one in zip(rows, entries, strict=True)}
        return found

    def _gap(self, number: int, why: str) -> None:
        detail = f"parts of {self.versions[number].reference} were not looked for: {why}"
        self.gaps.append(Unreadable(b"", Obstacle.ABSENT, detail))


def _copy(gold: _Gold, files: PlaceFiles, path: bytes, cut: CutFile) -> Copy | Unreadable | None:
    """Return a file as a copy of parts of gold, or that it was changed meanwhile.

    Raises:
        OSError: it cannot be read.
    """
    hits = gold.hits(cut.chunks)
    if not hits:
        return None
    with files.contents.reading(path) as descriptor:
        common = gold.common(descriptor, hits)
        if signature(descriptor) != cut.state:
            return Unreadable(path, Obstacle.UNSTABLE, "")
    gold.blame(common.unlike)
    if sum(one.length for one in common.spans) < LEAST_SHARED:
        return None
    return _told(gold, files.look, files.prefix, path, common)


def _take(cover: Cover, file: int, gold: int, hit: Hit) -> bool:
    """Add what lies around a hit; whether the bytes of the hit are the same.

    Raises:
        OSError: one cannot be read.
    """
    room = cover.room(hit)
    if room is None:
        return True
    span = common_span(file, gold, hit, room)
    if span is not None:
        cover.add(span)
    return span is not None


def _told(gold: _Gold, look: CopyLook, prefix: bytes, path: bytes, common: _Common) -> Copy:
    """Return what a file has of gold, told of the original of which it has most.

    Raises:
        OSError: it is gone.
    """
    of: dict[_Source, list[Span]] = {}
    spans = common.spans
    for one in spans:
        of.setdefault(one.source, []).append(one)
    source = max(of, key=lambda one: (sum(span.length for span in of[one]), one))
    version, original = gold.versions[source[0]], common.originals[source]
    state, total = look.state(path), sum(one.length for one in spans)
    shared = bytes_of_others(look.extents(path, state))
    frees = total == state.size and state.links == 1
    return Copy(
        path=prefix + path,
        kind=CopyKind.PARTIAL,
        dataset=version.dataset,
        version=version.number,
        entry=original.entry,
        original=os.path.join(os.fsencode(gold.homes[source[0]] or ""), original.entry),
        bytes=total,
        reclaimable=max(state.allocated - shared, 0) if frees else 0,
        state=state,
        evidence={
            "part": str(part_told(of[source], state.size, original.size)),
            "original_bytes": original.size,
            "of_file": round(total / state.size, 4),
            "of_original": round(covered(of[source]) / original.size, 4),
            "originals": len(of),
            "runs": len(spans),
            "longest_runs": list(_runs(gold, common)),
        },
    )


def _runs(gold: _Gold, common: _Common) -> Iterator[dict[str, object]]:
    """Yield which bytes of which file of gold lie where, in the order of the file."""
    longest = sorted(common.spans, key=lambda one: (-one.length, one.offset))[:_TOLD_MAX]
    for one in sorted(longest, key=attrgetter("offset")):
        yield {
            "offset": one.offset,
            "bytes": one.length,
            "of": str(gold.versions[one.version].reference),
            "entry": display(common.originals[one.source].entry),
            "original_offset": one.original,
        }
