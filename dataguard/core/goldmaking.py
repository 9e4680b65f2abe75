"""Makes shards of the gold index from manifests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.core.columns import fixed_bytes, kind_mask, numbers
from dataguard.core.goldindex import Shard, ShardColumns
from dataguard.core.numeric import np

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

__all__ = ["digest_words", "make_shard", "shard_of"]


def make_shard(entries: Iterable[pa.RecordBatch], count: int, width: int) -> Shard:
    """Return the shard of a manifest with `count` rows and digests of `width` bytes."""
    lengths = np.empty(count, np.int64)
    digests = np.empty((count, width // 8), np.uint64)
    rows = np.empty(count, np.uint32 if count < 1 << 32 else np.uint64)
    taken = first = 0
    for batch in entries:
        sizes = numbers(batch.column("size"))
        kept = np.flatnonzero(kind_mask(batch, "f") & (sizes > 0))
        until = taken + len(kept)
        lengths[taken:until] = sizes[kept]
        digests[taken:until] = digest_words(batch.column("digest"))[kept]
        rows[taken:until] = kept + first
        taken, first = until, first + batch.num_rows
    lengths, digests, rows = lengths[:taken], digests[:taken], rows[:taken]
    order = np.argsort(digests[:, 0], kind="stable")
    return shard_of(
        np.unique(lengths), digests[order, 0], digests[order, 1:], lengths[order], rows[order]
    )


def shard_of(
    sizes: np.ndarray, heads: np.ndarray, tails: np.ndarray, lengths: np.ndarray, rows: np.ndarray
) -> Shard:
    """Return a shard with these columns; `tails` are rows of words."""
    columns = (heads, tails.reshape(-1), lengths, rows)
    views = ShardColumns(*(np.ascontiguousarray(one).data for one in columns))
    return Shard(np.ascontiguousarray(sizes).data, len(heads), lambda: views)


def digest_words(digests: pa.Array) -> np.ndarray:
    """Return a column of digests without nulls as rows of 64-bit words."""
    words = np.frombuffer(fixed_bytes(digests), np.uint64)
    return words.reshape(len(digests), digests.type.byte_width // 8)
