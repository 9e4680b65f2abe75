"""The front of a stream of entries in path order, taken as far as others have come."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dataguard.core.columns import raw_paths
from dataguard.core.identity import check_order
from dataguard.core.runs import rows_through

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

__all__ = ["Cursor", "Rows"]


class Rows(NamedTuple):
    """Entries with their raw paths."""

    entries: pa.RecordBatch
    paths: pa.Array

    def through(self, count: int) -> Rows:
        """Return the first rows."""
        return Rows(self.entries.slice(0, count), self.paths.slice(0, count))

    def after(self, count: int) -> Rows:
        """Return what follows the first rows."""
        return Rows(self.entries.slice(count), self.paths.slice(count))


class Cursor:
    """The rows of a stream that were not taken yet; holds one batch.

    `last` is the path of the last row at hand. `checked` says that whoever makes the stream has
    checked its order, as readers of manifests do.

    Raises:
        CatalogDamagedError: the stream is not in strictly ascending path order; this comes when
            the batch is reached, which is as soon as the one before it is taken.
    """

    def __init__(self, batches: Iterable[pa.RecordBatch], *, checked: bool = False) -> None:
        self._batches = iter(batches)
        self._checked = checked
        self._at_hand: Rows | None = None
        self._none: Rows | None = None
        self._end: bytes | None = None
        self.last = b""
        self._advance()

    @property
    def exhausted(self) -> bool:
        """Whether everything was taken."""
        return self._at_hand is None

    def take_through(self, bound: bytes) -> Rows | None:
        """Take the rows with paths up to `bound` from the batch at hand.

        They are none where the stream has come to its end; None where it never had any, and so
        no schema.
        """
        rows = self._at_hand
        if rows is None:
            return self._none
        if bound >= self.last:
            self._advance()
            return rows
        count = rows_through(rows.paths, bound)
        self._at_hand = rows.after(count)
        return rows.through(count)

    def _advance(self) -> None:
        self._at_hand = None
        for batch in self._batches:
            if batch.num_rows:
                self._at_hand = rows = Rows(batch, raw_paths(batch))
                self._none = rows.through(0)
                self.last = self._last_of(rows.paths)
                return

    def _last_of(self, paths: pa.Array) -> bytes:
        if self._checked:
            last: bytes = paths[len(paths) - 1].as_py()
            return last
        self._end = check_order(paths, self._end)
        return self._end
