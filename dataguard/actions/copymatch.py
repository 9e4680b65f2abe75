"""Makes copies of candidates whose content occurs in gold: what they repeat, and their cost."""

from __future__ import annotations

import os
from array import array
from collections import Counter, defaultdict
from contextlib import ExitStack
from dataclasses import field, replace
from itertools import groupby, islice
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import pyarrow as pa

from dataguard.actions.resolution import is_here
from dataguard.core.columns import array_column, little_endian, raw_paths
from dataguard.core.copies import common_parts, occurrences
from dataguard.core.extents import bytes_of_others, common_bytes, have_same_blocks, shared_bytes
from dataguard.core.kernels import taken
from dataguard.core.objectplaces import is_objects
from dataguard.model.copies import Copy, CopyKind
from dataguard.model.dataclass import dataclass
from dataguard.model.dataset import LocationState
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.stores.copylook import CopyLook, file_id
from dataguard.stores.manifestrows import paths_at
from dataguard.stores.obstacles import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from dataguard.actions.context import Context
    from dataguard.actions.copyscan import PlaceScan
    from dataguard.core.extents import Extent
    from dataguard.core.goldindex import GoldIndex, Hit
    from dataguard.model.copies import FileState
    from dataguard.model.dataset import Version
    from dataguard.model.digest import DigestPlan

__all__ = [
    "Occurrence",
    "PlaceMatch",
    "absolute",
    "counted_once",
    "in_bucket",
    "match_place",
    "originals",
    "shared_among",
]

_HITS_MAX = 64
"""Places of one content in gold that are looked at."""

_COMPARED = ("size", "mtime_ns", "ctime_ns", "inode")


BlocksOf: TypeAlias = "dict[tuple[int, int], list[Extent]]"
"""Extents of files by device and inode."""


class Occurrence(NamedTuple):
    """A version of the index, by its number, and a path in it."""

    version: int
    entry: bytes


@dataclass(slots=True)
class PlaceMatch:
    """The copies in one place, and every occurrence of the content of each, by its path.

    `matched` are the rows of candidates that are in gold; `blocks` are those of copies that
    something else than their original has too.
    """

    copies: list[Copy] = field(default_factory=list)
    occurrences: dict[bytes, tuple[Occurrence, ...]] = field(default_factory=dict)
    unreadable: list[Unreadable] = field(default_factory=list)
    matched: list[int] = field(default_factory=list)
    blocks: BlocksOf = field(default_factory=dict)


def originals(ctx: Context, version: Version) -> str | None:
    """Return where the bytes of a version lie on this host; None where they do not."""
    for one in ctx.catalog.locations(version.dataset, version.number):
        if one.state is LocationState.ACTIVE and is_here(one, ctx.actor.host):
            return one.place
    return None


def in_bucket(ctx: Context, version: Version) -> str | None:
    """Return where the bytes of a version lie as objects; None where they do not."""
    for one in ctx.catalog.locations(version.dataset, version.number):
        if one.state is LocationState.ACTIVE and is_objects(one.place):
            return one.place
    return None


def match_place(ctx: Context, scan: PlaceScan, index: GoldIndex, plan: DigestPlan) -> PlaceMatch:
    """Return what of a place's candidates is in gold.

    Raises:
        CatalogDamagedError: a manifest is damaged.
    """
    found = PlaceMatch()
    hits = _bounded(occurrences(scan.entries, index, plan))
    if not hits:
        return found
    placed = _placed(ctx, index, hits)
    found.matched = list(placed)
    matched = taken(scan.entries, array_column(array("q", placed), pa.int64()))
    paths = raw_paths(matched).to_pylist()
    columns = [little_endian(matched.column(name)).cast("q").tolist() for name in _COMPARED]
    files = zip(paths, zip(*columns, strict=True), placed.values(), strict=True)
    prefix = os.fsencode(scan.place).rstrip(b"/") + b"/"
    with CopyLook(scan.place) as look, ExitStack() as opened:
        judge = _Judge(ctx, index, look, opened)
        for path, seen, places in files:
            try:
                state = look.state(path)
                if (state.size, state.mtime_ns, state.ctime_ns, state.inode) != seen:
                    found.unreadable.append(Unreadable(path, Obstacle.UNSTABLE, ""))
                    continue
                copy = judge.copy(path, state, places, prefix)
            except OSError as err:
                gap = unreadable(path, err)
                if gap.obstacle is not Obstacle.VANISHED:
                    found.unreadable.append(gap)
                continue
            found.copies.append(copy)
            found.occurrences[copy.path] = tuple(places)
        found.blocks = judge.beside_gold
    return found


def counted_once(copies: Sequence[Copy]) -> list[Copy]:
    """Return the copies, what several names of one file would free told of the first name only.

    Nothing is freed while a name of it is left that is not among them.
    """
    names: Counter[tuple[int, int]] = Counter()
    for one in copies:
        if one.state is not None and one.kind is CopyKind.EXACT:
            names[one.state.device, one.state.inode] += 1
    settled, told = [], set()
    for one in copies:
        state = one.state
        if state is None or one.kind is not CopyKind.EXACT:
            settled.append(one)
            continue
        file = state.device, state.inode
        frees = file not in told and names[file] >= state.links
        told.add(file)
        settled.append(one if frees else replace(one, reclaimable=0))
    return settled


def shared_among(blocks: Iterable[BlocksOf]) -> int:
    """Return what the blocks take that several of these files have, and their originals have not.

    Only files of one device are compared; something that was not found may have the blocks too.
    """
    by_device: defaultdict[int, BlocksOf] = defaultdict(dict)
    for found in blocks:
        for file, extents in found.items():
            by_device[file[0]][file] = extents
    return sum(common_bytes(files.values()) for files in by_device.values())


class _Verdict(NamedTuple):
    """What a file is, what it repeats, and what would be gained without it."""

    original: Occurrence
    kind: CopyKind
    reclaimable: int
    evidence: Mapping[str, object]


class _Judge:
    """Decides of one file after the other what it is and what it costs."""

    def __init__(self, ctx: Context, index: GoldIndex, look: CopyLook, opened: ExitStack) -> None:
        """Look at files by `look`; what is opened of gold is closed with `opened`."""
        self._look = look
        self._index = index
        self._opened = opened
        places = [originals(ctx, version) for version in index.versions]
        self._homes = [None if one is None else os.fsencode(one) for one in places]
        self._below = [None if one is None else os.path.join(one, b"") for one in self._homes]
        named = [
            home or in_bucket(ctx, version)
            for home, version in zip(places, index.versions, strict=True)
        ]
        self._named = [None if one is None else os.fsencode(one) for one in named]
        self._looks: dict[int, CopyLook] = {}
        self.beside_gold: BlocksOf = {}

    def copy(
        self, path: bytes, state: FileState, places: Sequence[Occurrence], prefix: bytes
    ) -> Copy:
        """Return a file as a copy of the place in gold that it resembles most.

        Raises:
            OSError: it cannot be opened to see whose blocks it has.
        """
        original, kind, reclaimable, evidence = self._verdict(path, state, places)
        version, home = self._index.versions[original.version], self._named[original.version]
        return Copy(
            path=prefix + path,
            kind=kind,
            dataset=version.dataset,
            version=version.number,
            entry=original.entry,
            original=None if home is None else home.rstrip(b"/") + b"/" + original.entry,
            bytes=state.size,
            reclaimable=reclaimable,
            state=state,
            evidence=evidence,
        )

    def _verdict(self, path: bytes, state: FileState, places: Sequence[Occurrence]) -> _Verdict:
        original = self._same_file(state, places)
        if original is not None:
            how = "hard link" if state.links > 1 else "the same file by another path"
            return _Verdict(original, CopyKind.LINK, 0, {"link": how})
        nearest = places[0]
        if len(places) > 1:
            nearest = max(
                (one for one in places if one.version == nearest.version),
                key=lambda one: common_parts(path, one.entry),
            )
        shared, same = self._shared(path, state, nearest)
        if same:
            return _Verdict(nearest, CopyKind.LINK, 0, {"link": "reflink"})
        evidence = {"shared_bytes": shared} if shared else {}
        return _Verdict(nearest, CopyKind.EXACT, max(state.allocated - shared, 0), evidence)

    def _same_file(self, state: FileState, places: Sequence[Occurrence]) -> Occurrence | None:
        """Return which of these places is this very file, by another name or another mount."""
        for one in places:
            below = self._below[one.version]
            try:
                gold = None if below is None else file_id(below + one.entry)
            except OSError:  # what cannot be looked at may be a file of its own: it counts as one
                continue
            if gold == (state.device, state.inode):
                return one
        return None

    def _shared(self, path: bytes, state: FileState, original: Occurrence) -> tuple[int, bool]:
        own = self._look.extents(path, state)
        if not own or not any(one.shared for one in own):
            return 0, False
        try:
            gold = self._gold(original)
            look = self._gold_look(original.version)
            theirs = () if gold is None or look is None else look.extents(original.entry, gold)
        except OSError:  # as above
            theirs = ()
        alone = [
            one for one in own if one.placed and one.shared and not shared_bytes([one], theirs)
        ]
        self.beside_gold[state.device, state.inode] = alone
        return bytes_of_others(own), have_same_blocks(own, theirs)

    def _gold(self, one: Occurrence) -> FileState | None:
        look = self._gold_look(one.version)
        return None if look is None else look.state(one.entry)

    def _gold_look(self, version: int) -> CopyLook | None:
        home = self._homes[version]
        if home is not None and version not in self._looks:
            self._looks[version] = self._opened.enter_context(CopyLook(os.fsdecode(home)))
        return self._looks.get(version)


def _bounded(hits: Iterable[Hit]) -> list[Hit]:
    """Leave of each content the first places only."""
    return [one for _, of_one in groupby(hits, _query) for one in islice(of_one, _HITS_MAX)]


def _query(hit: Hit) -> int:
    return hit.query


def _placed(ctx: Context, index: GoldIndex, hits: Sequence[Hit]) -> dict[int, list[Occurrence]]:
    """Return where each row of candidates occurs, in the order of the hits."""
    rows: defaultdict[int, list[int]] = defaultdict(list)
    for one in hits:
        rows[one.version].append(one.row)
    paths = {
        version: iter(paths_at(ctx.manifests.manifest_path(index.versions[version].root), numbers))
        for version, numbers in rows.items()
    }
    found: dict[int, list[Occurrence]] = {}
    for query, version, _ in hits:
        found.setdefault(query, []).append(Occurrence(version, next(paths[version])))
    return found


def absolute(place: str, gaps: Iterable[Unreadable]) -> Iterator[Unreadable]:
    """Yield what could not be checked with absolute paths."""
    prefix = os.fsencode(place).rstrip(b"/")
    for one in gaps:
        yield replace(one, path=prefix + b"/" + one.path if one.path else prefix or b"/")
