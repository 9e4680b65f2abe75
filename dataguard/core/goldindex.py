"""The gold index: which sizes occur in gold, and where a digest does, as sorted columns.

Sizes come first: most files of a workspace have one that occurs nowhere in gold, and need not be
read. A shard has the files of one version, sorted by the first eight bytes of their digest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dataguard.core.columns import fixed_bytes, kind_mask, numbers
from dataguard.core.numeric import np
from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa

    from dataguard.model.dataset import Version
    from dataguard.model.digest import Algorithm

__all__ = ["GoldIndex", "Hits", "Shard", "digest_words", "make_shard"]

_HITS_MAX = 16
"""Places of one content in one version that are told: the same small file may be there a million
times."""

_NONE = np.empty(0, np.int64)


class Hits(NamedTuple):
    """Where contents that were asked for occur: three columns of one length.

    `queries` numbers what was asked, `versions` the versions of the index, `rows` the rows of
    their manifests; in the order of queries, then versions, then rows.
    """

    queries: np.ndarray
    versions: np.ndarray
    rows: np.ndarray


@dataclass(frozen=True, slots=True)
class Shard:
    """The regular files of one version that are not empty.

    `sizes` are those that occur, ascending. The other columns have a row a file: `heads` is the
    beginning of the digest, ascending, `tails` its other 64-bit words, `lengths` the file's size,
    `rows` its row in the manifest.
    """

    sizes: np.ndarray
    heads: np.ndarray
    tails: np.ndarray
    lengths: np.ndarray
    rows: np.ndarray

    def find(self, lengths: np.ndarray, digests: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which of these contents occur, and in which rows; digests are rows of words."""
        starts = np.searchsorted(self.heads, digests[:, 0], "left")
        counts = np.searchsorted(self.heads, digests[:, 0], "right") - starts
        np.minimum(counts, _HITS_MAX, out=counts)
        if not counts.any():
            return _NONE, _NONE
        queries = np.repeat(np.arange(len(starts)), counts)
        within = np.arange(len(queries)) - np.repeat(np.cumsum(counts) - counts, counts)
        at = np.repeat(starts, counts) + within
        same = (self.lengths[at] == lengths[queries]) & (
            self.tails[at] == digests[queries, 1:]
        ).all(axis=1)
        return queries[same], self.rows[at[same]].astype(np.int64)


class GoldIndex:
    """The shards of several versions, those to be named first before the others."""

    def __init__(self, versions: Sequence[Version], shards: Sequence[Shard]) -> None:
        self.versions = tuple(versions)
        self._shards = tuple(shards)
        distinct = [shard.sizes for shard in shards]
        self._sizes = (
            distinct[0]
            if len(distinct) == 1
            else np.unique(np.concatenate([_NONE, *distinct]))  # none at all: an empty column
        )

    @property
    def files(self) -> int:
        """How many files it knows, each as often as it occurs."""
        return sum(len(shard.heads) for shard in self._shards)

    @property
    def sizes(self) -> np.ndarray:
        """The sizes that occur, ascending."""
        return self._sizes

    @property
    def algorithms(self) -> tuple[Algorithm, ...]:
        """The algorithms that a file's digest must be known by, to be looked for everywhere."""
        return tuple(dict.fromkeys(version.algorithm for version in self.versions))

    def may_hold(self, sizes: np.ndarray) -> np.ndarray:
        """Return for each size whether it occurs in gold; an empty file is no copy."""
        known = self._sizes
        if not len(known):
            return np.zeros(len(sizes), dtype=bool)
        at = np.searchsorted(known, sizes)
        at[at == len(known)] = 0
        found: np.ndarray = known[at] == sizes
        return found

    def find(self, algorithm: Algorithm, sizes: np.ndarray, digests: np.ndarray) -> Hits:
        """Return where contents occur in the versions with this main digest.

        `digests` has a row of 64-bit words for each size. At most 16 places a version are told.
        """
        parts = []
        # Neighbours among the digests are neighbours in the shards: fewer pages are touched.
        order = np.argsort(digests[:, 0], kind="stable") if len(digests) else _NONE
        sizes, digests = sizes[order], digests[order]
        for number, (version, shard) in enumerate(zip(self.versions, self._shards, strict=True)):
            if version.algorithm is algorithm:
                queries, rows = shard.find(sizes, digests)
                parts.append((order[queries], np.full(len(queries), number), rows))
        columns = [
            np.concatenate([_NONE, *(part[i] for part in parts)]).astype(np.int64) for i in range(3)
        ]
        sorted_ = np.lexsort((columns[2], columns[1], columns[0]))
        return Hits(*(column[sorted_] for column in columns))


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
    return Shard(
        np.unique(lengths),
        digests[order, 0],
        digests[order, 1:],
        lengths[order],
        rows[order],
    )


def digest_words(digests: pa.Array) -> np.ndarray:
    """Return a column of digests without nulls as rows of 64-bit words."""
    words = np.frombuffer(fixed_bytes(digests), np.uint64)
    return words.reshape(len(digests), digests.type.byte_width // 8)
