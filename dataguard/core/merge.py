"""Merges sorted streams of entries into one, window by window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.core.columns import joined, raw_paths
from dataguard.core.cursor import Cursor
from dataguard.core.identity import check_order
from dataguard.core.kernels import is_ascending, order_of, taken

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
    cursors = list(map(Cursor, streams))
    last: bytes | None = None
    while cursors := [cursor for cursor in cursors if not cursor.exhausted]:
        bound = min(cursor.last for cursor in cursors)
        taken = [rows.entries for one in cursors if (rows := one.take_through(bound))]
        parts = [entries for entries in taken if entries.num_rows]
        merged = parts[0] if len(parts) == 1 else by_path(joined(parts))
        last = check_order(raw_paths(merged), last)
        yield merged


def by_path(entries: pa.RecordBatch) -> pa.RecordBatch:
    """Return the entries in bytewise path order."""
    paths = raw_paths(entries)
    return entries if is_ascending(paths) else taken(entries, order_of(paths))
