"""Looks through one place for files that may be copies, and reads those that were not read yet."""

from __future__ import annotations

import os
from array import array
from contextlib import ExitStack, suppress
from dataclasses import field, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from dataguard.actions.places import store_of
from dataguard.core.align import align
from dataguard.core.columns import joined, kind_mask, number_column, numbers, raw_paths
from dataguard.core.copies import Recalled, by_digest, candidates, files_of, recall, signatures
from dataguard.core.kernels import nulls_of, places_in, taken
from dataguard.core.merge import by_path
from dataguard.core.numeric import np
from dataguard.core.runs import rows_through
from dataguard.model.dataclass import dataclass
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.model.schema import observed_schema
from dataguard.model.span import WHOLE, Span
from dataguard.stores.fileroll import FileRoll
from dataguard.stores.pieces import no_rows
from dataguard.stores.scannotes import Notes, NotesFile
from dataguard.stores.sieve import SMALL, SieveFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from dataguard.actions.context import Context
    from dataguard.actions.copybegin import BegunPlace
    from dataguard.core.wantedsizes import Sizes
    from dataguard.model.digest import DigestPlan
    from dataguard.stores.interface import Scanned
    from dataguard.stores.local import LocalStore
    from dataguard.stores.walk import Exclusion

__all__ = ["PlaceScan", "Search", "scan_place", "sizes_in"]

_NO_CONTENT = frozenset({Obstacle.FIFO, Obstacle.SOCKET, Obstacle.DEVICE})
_HARMLESS = _NO_CONTENT | {Obstacle.VANISHED}
"""What has no content, and what is not there any more, is no copy."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for, and how long.

    `key` names everything that decides which files are candidates. With `resume` a place goes on
    where the time of an earlier scan was over; `keep` remembers what was read. Files of `rolled`
    bytes or more are told whatever their size is, for others to look into; None tells none. No
    more than `rate` bytes a second are read, where it is not 0.
    """

    sizes: Sizes
    plan: DigestPlan
    key: str
    deadline: datetime | None = None
    resume: bool = False
    keep: bool = True
    rolled: int | None = None
    rate: int = 0


@dataclass(slots=True)
class PlaceScan:
    """What was found in one place: paths are relative to it.

    `left_out` is the test of what is skipped. `entries` are the candidates with their digests, in
    path order. `through` is the last path that was looked at where the time was over, else None.
    `symlinks` are all there are; `roll` has the files that others look into, where the scan saw
    all of them, and whoever takes it closes it. `looked_into` counts those that were.
    """

    place: str
    entries: pa.RecordBatch
    left_out: Exclusion | None = None
    symlinks: list[bytes] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    through: bytes | None = None
    scanned: int = 0
    read: int = 0
    read_bytes: int = 0
    roll: FileRoll | None = None
    looked_into: int = 0

    @property
    def complete(self) -> bool:
        """Whether everything was looked at and could be read."""
        return self.through is None and not self.unreadable


def scan_place(
    ctx: Context,
    place: str,
    search: Search,
    *,
    left_out: Exclusion | None = None,
    listed: tuple[bytes, ...] | None = None,
    begun: BegunPlace | None = None,
) -> PlaceScan:
    """Return the candidates in a place, or among the paths in it that are `listed`.

    Whatever ends the scan, what was read until then is remembered. `begun` is the same place,
    which workers look through already.

    Raises:
        NotFoundError: the place is gone.
        StoreUnreachableError: it does not answer.
    """
    if begun is None:
        store = store_of(ctx, place, left_out=left_out, polite=True, rate=search.rate)
    else:
        store = begun.store
    scan = _Scan(ctx, store, search, listed, begun)
    try:
        scan.run()
    except BaseException:
        scan.give_up()
        raise
    finally:
        scan.remember()
    return replace(scan.result(), left_out=left_out)


def sizes_in(
    ctx: Context, place: str, plan: DigestPlan, *, left_out: Exclusion | None = None
) -> Iterator[np.ndarray]:
    """Yield the sizes of all regular files in a place, piece by piece."""
    store = store_of(ctx, place, left_out=left_out)
    for piece in store.scan(plan, read=False):
        yield numbers(piece.entries.column("size"))[kind_mask(piece.entries, "f")]


class _Scan:
    """One scan of one place while it runs."""

    def __init__(
        self,
        ctx: Context,
        store: LocalStore,
        search: Search,
        listed: tuple[bytes, ...] | None,
        begun: BegunPlace | None,
    ) -> None:
        self._ctx = ctx
        self._begun = begun
        self._store = store
        self._search = search
        self._listed = listed
        self._filesystem = store.filesystem().fsid
        self._schema = observed_schema(search.plan.main, search.plan.also)
        key = os.fsencode(store.place) + (b"\0list" if listed is not None else b"")
        self._file = NotesFile(ctx.settings.home.value, ctx.actor.uid, key)
        notes = self._file.read(self._filesystem, self._schema)
        self._notes = notes or Notes(pa.Table.from_batches([], self._schema), search.key)
        self._journal = self._file.journal(self._filesystem, self._schema)
        self._sifted: LocalStore | None = None
        self._known: list[pa.RecordBatch] = []
        self._after = b""
        self._at = b""
        self._before: tuple[int, tuple[Unreadable, ...]] = (0, ())
        self._ended = False
        self._whole = False
        self._found = PlaceScan(store.place, no_rows(search.plan))

    def run(self) -> None:
        """Look through the place; what is handed out to be read is read to its end."""
        self._take_up()
        self._go_on()
        self._roll()
        with ExitStack() as opened:
            self._sift(opened)
            for piece in self._store.read(self._unread(), self._search.plan):
                self._count(piece)
                self._keep(candidates(piece.entries, self._search.sizes), piece.bytes_read)
        if not self._ended:
            self._found.through = self._at
        self._whole = True

    def _roll(self) -> None:
        """Begin to tell all files, where none is passed over because an earlier scan saw it."""
        if self._search.rolled is not None and not self._after:
            self._found.roll = FileRoll(self._search.rolled)

    def give_up(self) -> None:
        """Let go of what nobody will take."""
        if self._found.roll is not None:
            self._found.roll.close()

    def result(self) -> PlaceScan:
        """Return what was found."""
        self._found.entries = self._sorted(self._known)
        return self._found

    def remember(self) -> None:
        """Write down what was read, with what is known of the part that was not looked at.

        Where the last scan had another question, what it knows of other files is kept for once.
        Where something else than the time ended the scan, not all that was handed out was read:
        the next one begins where this one did, with less to read.
        """
        if not self._search.keep:
            return
        self._journal.flush()
        found, old = self._found, self._notes
        notes = Notes(old.entries, self._search.key, self._after, *self._before)
        if self._whole:
            unreadable = tuple(found.unreadable)
            notes = Notes(old.entries, notes.key, found.through, found.scanned, unreadable)
        beyond = [] if self._ended else _beyond(old.entries, self._at)
        if old.key != self._search.key:
            beyond = _without(old.entries, self._known)
        entries = self._sorted([*self._known, *beyond])
        if self._file.write(notes, self._filesystem, [entries]):
            self._journal.drop()
        self._journal.close()

    def _take_up(self) -> None:
        """Add to the notes what a scan that was killed has read."""
        known = self._journal.known()
        if known:
            old = _without(self._notes.entries, known)
            entries = pa.Table.from_batches([self._sorted([*old, *known])], self._schema)
            self._notes = replace(self._notes, entries=entries)
        if self._search.keep:
            self._journal.open()

    def _keep(self, entries: pa.RecordBatch, size: int) -> None:
        self._known.append(entries)
        self._journal.add(entries, size)

    def _go_on(self) -> None:
        """Begin after what an interrupted scan for the same has looked at, if that is wanted."""
        notes = self._notes
        if not self._search.resume or notes.through is None or notes.key != self._search.key:
            return
        self._after = self._at = notes.through
        self._before = notes.scanned, notes.unreadable
        self._found.scanned = notes.scanned
        self._found.unreadable = list(notes.unreadable)
        for one in notes.entries.to_batches():
            self._known.append(one.slice(0, rows_through(raw_paths(one), notes.through)))

    def _sift(self, opened: ExitStack) -> None:
        """Have workers leave out, and read at once, what can be told by a sieve.

        Where they cannot have it, here is found out what has to be read.
        """
        if self._begun is not None:
            opened.enter_context(self._begun.sieve)
            self._sifted = self._begun.store
            return
        if self._ctx.engine.name == "dask":  # workers on other hosts
            return
        known = memoryview(array("Q"))
        if self._notes.entries.num_rows:
            known = np.ascontiguousarray(signatures(self._notes.entries.to_batches())).data
        with suppress(OSError):
            small, large = self._search.sizes.tables(SMALL)
            file = SieveFile(small, large, known, told=self._search.rolled)
            self._sifted = self._store.sifted(opened.enter_context(file).name)

    def _count(self, piece: Scanned) -> None:
        self._found.read += piece.files_read
        self._found.read_bytes += piece.bytes_read
        self._note(piece.unreadable)

    def _unread(self) -> Iterator[pa.RecordBatch]:
        """Yield the candidates that have to be read; keep those that are remembered."""
        if not self._notes.entries.num_rows:
            for entries in self._candidates():
                if entries.num_rows:
                    yield entries
            return
        for window in align(self._candidates(), self._notes.entries.to_batches(), checked=True):
            if window.left.num_rows:
                known, unknown = recall(window) if window.right.num_rows else _all_new(window.left)
                self._known.append(known)
                yield unknown

    def _candidates(self) -> Iterator[pa.RecordBatch]:
        for piece in self._pieces():
            files = files_of(piece.entries)
            scanned = piece.passed + files.num_rows
            self._found.scanned += scanned
            self._ctx.progress.advance(scanned, 0)
            self._count(piece)
            if files.num_rows != piece.entries.num_rows:
                self._note_links(piece.entries)
            if self._found.roll is not None:
                self._found.roll.add(piece.entries)
            if self._found.roll is not None or self._sifted is None:
                files = candidates(files, self._search.sizes)
            if files.num_rows:
                read, unread = by_digest(files)
                self._keep(read, piece.bytes_read)
                yield unread

    def _pieces(self) -> Iterator[Scanned]:
        """Yield the scan until the time is over."""
        for piece in self._scanned():
            if piece.entries.num_rows:
                paths = raw_paths(piece.entries)
                self._at = max(self._at, paths[len(paths) - 1].as_py())
            self._at = max(self._at, piece.through)
            yield piece
            if self._search.deadline is not None and self._ctx.clock() >= self._search.deadline:
                return
        self._ended = True

    def _scanned(self) -> Iterator[Scanned]:
        if self._begun is not None:
            return self._begun.pieces
        span = Span(self._after) if self._after else WHOLE
        store, read = self._sifted or self._store, self._sifted is not None
        if self._listed is None:
            return store.scan(self._search.plan, read=read, span=span)
        paths = [path for path in self._listed if span.contains(path)]
        return store.read_paths(paths, self._search.plan, read=read)

    def _note(self, unreadable: Iterable[Unreadable]) -> None:
        harmless = _HARMLESS if self._listed is None else _NO_CONTENT
        self._found.unreadable += [one for one in unreadable if one.obstacle not in harmless]

    def _note_links(self, entries: pa.RecordBatch) -> None:
        rows = np.flatnonzero(kind_mask(entries, "l")).tolist()
        if rows:
            paths = raw_paths(entries)
            self._found.symlinks += [paths[row].as_py() for row in rows]

    def _sorted(self, batches: list[pa.RecordBatch]) -> pa.RecordBatch:
        kept = [one for one in batches if one.num_rows]
        return by_path(joined(kept)) if kept else self._found.entries.slice(0, 0)


def _all_new(entries: pa.RecordBatch) -> Recalled:
    return Recalled(entries.slice(0, 0), entries)


def _without(entries: pa.Table, others: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """Return the entries with paths that the others do not have."""
    known = pa.concat_arrays([pa.nulls(0, pa.binary()), *map(raw_paths, others)])
    found = []
    for batch in entries.to_batches():
        new = nulls_of(places_in(raw_paths(batch), known))
        found.append(taken(batch, number_column(np.flatnonzero(numbers(new)))))
    return found


def _beyond(entries: pa.Table, path: bytes) -> list[pa.RecordBatch]:
    """Return the entries that follow a path."""
    batches = entries.to_batches()
    return [one.slice(rows_through(raw_paths(one), path)) for one in batches]
