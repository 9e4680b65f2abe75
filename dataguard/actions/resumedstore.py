"""The store of a source that an earlier attempt read in part: only the rest of it is read."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from dataguard.actions.observation import Reading, observe, with_known_digests
from dataguard.core.columns import numbers, raw_paths
from dataguard.core.cursor import Cursor
from dataguard.core.kernels import nulls_of
from dataguard.core.numeric import np
from dataguard.core.slicing import rows_in
from dataguard.model.ports import NoProgress
from dataguard.model.span import WHOLE, Span
from dataguard.stores.interface import Scanned

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

    from dataguard.model.dataset import FileSystem
    from dataguard.model.digest import DigestPlan
    from dataguard.model.entry import Unreadable
    from dataguard.stores.interface import Store
    from dataguard.stores.journal import Journal

__all__ = ["ResumedStore"]

_REST = Reading(full=False, baseline=True, extras=True)


class ResumedStore:
    """A store that takes from a journal what that vouches for, and writes down what it reads.

    `files` and `bytes` count what was taken from the journal. Keeps the laws of stores; what is
    `read` must come in path order, also from call to call, and its rows must be of a scan that
    was made since the journal was opened: a file that is vouched for is not looked at again.
    """

    def __init__(self, store: Store, journal: Journal) -> None:
        self.place = store.place
        self._store = _NotedStore(store, journal)
        self._journal = journal
        self.files = 0
        self.bytes = 0

    def filesystem(self) -> FileSystem | None:
        """Return what baselines depend on."""
        return self._store.filesystem()

    def scan(self, plan: DigestPlan, *, read: bool, span: Span = WHOLE) -> Iterator[Scanned]:
        """Yield every entry in a span of paths; contents are read where nothing vouches for them.

        Raises:
            NotFoundError: the place does not exist.
            StoreUnreachableError: the place does not answer.
        """
        last = self._journal.last
        if not read or last is None or last <= span.after:
            return self._store.scan(plan, read=read, span=span)
        if span.through is not None and span.through <= last:
            return self._taken_over(self._store, rows_in(self._journal.known(), span), plan, span)
        return self._in_two(plan, Span(span.after, last), Span(last, span.through))

    def read(self, entries: Iterable[pa.RecordBatch], plan: DigestPlan) -> Iterator[Scanned]:
        """Yield these entries with contents digested, read where nothing vouches for them."""
        if self._journal.last is None:
            yield from self._store.read(entries, plan)
            return
        for batch in entries:
            if batch.num_rows:
                last = raw_paths(batch)[batch.num_rows - 1].as_py()
                seen = _SeenStore(self._store, batch)
                yield from self._taken_over(seen, self._known_through(last), plan, WHOLE)

    @cached_property
    def _known(self) -> Cursor:
        """What the journal vouches for, as far as `read` has not come to it."""
        return Cursor(self._journal.known(), checked=True)

    def _known_through(self, bound: bytes) -> Iterator[pa.RecordBatch]:
        while (rows := self._known.take_through(bound)) and rows.entries.num_rows:
            yield rows.entries

    def _in_two(self, plan: DigestPlan, begun: Span, rest: Span) -> Iterator[Scanned]:
        """Compare as far as the journal goes; beyond it, reading at once costs less."""
        said: set[Unreadable] = set()
        known = rows_in(self._journal.known(), begun)
        for piece in self._taken_over(self._store, known, plan, begun):
            said.update(item for item in piece.unreadable if rest.may_hold(item.path))
            yield piece
        for piece in self._store.scan(plan, read=True, span=rest):
            # What cannot be listed and may hold paths of both spans comes with both, but only
            # what did come before may be left out: a directory may have become unreadable since.
            new = tuple(item for item in piece.unreadable if item not in said)
            yield replace(piece, unreadable=new)

    def _taken_over(
        self, store: Store, known: Iterable[pa.RecordBatch], plan: DigestPlan, span: Span
    ) -> Iterator[Scanned]:
        for seen in observe(store, known, plan, _REST, NoProgress(), span=span):
            unread = numbers(nulls_of(seen.window.right.column("digest")))
            sizes = numbers(seen.window.right.column("size"))
            self.files += int(np.count_nonzero(unread))
            self.bytes += int(sizes[unread].sum())
            entries = with_known_digests(seen.window)
            yield Scanned(
                entries,
                seen.unreadable,
                seen.files_read,
                seen.bytes_read,
                by_checksum=seen.by_checksum,
            )


class _NotedStore:
    """A store whose every read is written down in a journal."""

    def __init__(self, store: Store, journal: Journal) -> None:
        self.place = store.place
        self._store = store
        self._journal = journal

    def filesystem(self) -> FileSystem | None:
        return self._store.filesystem()

    def scan(self, plan: DigestPlan, *, read: bool, span: Span = WHOLE) -> Iterator[Scanned]:
        found = self._store.scan(plan, read=read, span=span)
        return self._noted(found) if read else found

    def read(self, entries: Iterable[pa.RecordBatch], plan: DigestPlan) -> Iterator[Scanned]:
        return self._noted(self._store.read(entries, plan))

    def _noted(self, pieces: Iterable[Scanned]) -> Iterator[Scanned]:
        for piece in pieces:
            self._journal.add(piece.entries, piece.bytes_read)
            yield piece


class _SeenStore:
    """A store of which a part was scanned already."""

    def __init__(self, store: Store, seen: pa.RecordBatch) -> None:
        self.place = store.place
        self._store = store
        self._seen = seen

    def filesystem(self) -> FileSystem | None:
        return self._store.filesystem()

    def scan(self, plan: DigestPlan, *, read: bool, span: Span = WHOLE) -> Iterator[Scanned]:
        del plan, read, span
        yield Scanned(self._seen, (), 0, 0)

    def read(self, entries: Iterable[pa.RecordBatch], plan: DigestPlan) -> Iterator[Scanned]:
        return self._store.read(entries, plan)
