"""Merges sorted streams of entries into one, window by window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.compute as pc

from dataguard.core.columns import joined, raw_paths
from dataguard.core.identity import check_order
from dataguard.core.runs import rows_through

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow as pa

__all__ = ["by_path", "merge_sorted"]


def merge_sorted(streams: Sequence[Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of streams that each are in path order, in path order.

    Holds one batch of each stream. Where only one stream has rows, as with shards that follow one
    another, its batches pass as they are.

    Raises:
        CatalogDamagedError: a stream is not in strictly ascending path order, or two streams
            have the same path.
    """
    heads = [head for head in map(_Head, streams) if head.advance()]
    last: bytes | None = None
    while heads:
        bound = min(head.last for head in heads)
        parts = [part for head in heads if (part := head.take_through(bound)).num_rows]
        heads = [head for head in heads if head.rows or head.advance()]
        merged = parts[0] if len(parts) == 1 else by_path(joined(parts))
        last = check_order(raw_paths(merged), last)
        yield merged


def by_path(entries: pa.RecordBatch) -> pa.RecordBatch:
    """Return the entries in bytewise path order."""
    return entries.take(pc.sort_indices(raw_paths(entries)))


class _Head:
    """The rows at the front of a stream that were not taken yet."""

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        self._batches = iter(batches)
        self._batch: pa.RecordBatch
        self._paths: pa.Array
        self._end: bytes | None = None
        self.rows = 0
        self.last = b""

    def advance(self) -> bool:
        """Take hold of the next batch with rows; False at the end of the stream."""
        for batch in self._batches:
            if batch.num_rows:
                self._batch, self._paths, self.rows = batch, raw_paths(batch), batch.num_rows
                self.last = self._end = check_order(self._paths, self._end)
                return True
        return False

    def take_through(self, bound: bytes) -> pa.RecordBatch:
        """Take the rows with paths up to `bound`."""
        count = self.rows if bound == self.last else rows_through(self._paths, bound)
        taken = self._batch.slice(0, count)
        self._batch, self._paths = self._batch.slice(count), self._paths.slice(count)
        self.rows -= count
        return taken
