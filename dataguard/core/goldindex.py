"""The gold index: which sizes occur in gold, and where a digest does, as sorted columns.

Sizes come first: most files of a workspace have one that occurs nowhere in gold, and need not be
read. A shard has the files of one version, sorted by the first eight bytes of their digest. Loads
neither Arrow nor numpy before something is asked that takes many rows.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from dataguard.core.numeric import np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dataguard.model.dataset import Version
    from dataguard.model.digest import Algorithm

__all__ = ["GoldIndex", "Hit", "Hits", "Shard", "ShardColumns"]

_HITS_MAX = 16
"""Places of one content in one version that are told: the same small file may be there a million
times."""


_SCANNED_MOST = 16
"""Rows of a shard for each that is looked up: to go through all of them is then quicker."""


class Hits(NamedTuple):
    """Where contents that were asked for occur: three columns of one length.

    `queries` numbers what was asked, `versions` the versions of the index, `rows` the rows of
    their manifests; in the order of queries, then versions, then rows.
    """

    queries: np.ndarray
    versions: np.ndarray
    rows: np.ndarray


class Hit(NamedTuple):
    """One place where a content occurs: a row of `Hits`."""

    query: int
    version: int
    row: int


class ShardColumns(NamedTuple):
    """A row a file, each a view of 64-bit numbers, or of 32 bits for `rows`.

    `heads` is the beginning of the digest, ascending, `tails` its other words one after the other,
    `lengths` the file's size, `rows` its row in the manifest.
    """

    heads: memoryview
    tails: memoryview
    lengths: memoryview
    rows: memoryview


class Shard:
    """The regular files of one version that are not empty; `sizes` are those that occur, ascending.

    The columns are taken when they are first asked for.
    """

    def __init__(self, sizes: memoryview, files: int, columns: Callable[[], ShardColumns]) -> None:
        self.sizes = sizes
        self.files = files
        self._columns = columns

    @cached_property
    def columns(self) -> ShardColumns:
        """What there is of each file.

        Raises:
            CatalogDamagedError: it has to be made again, and the manifest is damaged.
        """
        return self._columns()

    def find(self, lengths: np.ndarray, digests: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which of these contents occur, and in which rows; digests are rows of words."""
        heads, tails, sizes, rows = map(np.asarray, self.columns)
        starts = np.searchsorted(heads, digests[:, 0], "left")
        counts = np.searchsorted(heads, digests[:, 0], "right") - starts
        np.minimum(counts, _HITS_MAX, out=counts)
        if not counts.any():
            none = np.empty(0, np.int64)
            return none, none
        queries = np.repeat(np.arange(len(starts)), counts)
        within = np.arange(len(queries)) - np.repeat(np.cumsum(counts) - counts, counts)
        at = np.repeat(starts, counts) + within
        others = tails.reshape(len(heads), -1)
        same = (sizes[at] == lengths[queries]) & (others[at] == digests[queries, 1:]).all(axis=1)
        return queries[same], rows[at[same]].astype(np.int64)

    def known(self, heads: Sequence[int]) -> set[int]:
        """Return which of these beginnings of digests occur."""
        have = self.columns.heads
        if len(have) <= _SCANNED_MOST * len(heads):
            return set(heads).intersection(have.tolist())
        ends = len(have)
        places = ((head, bisect_left(have, head)) for head in heads)
        return {head for head, at in places if at < ends and have[at] == head}

    def places(self, length: int, head: int, tail: Sequence[int]) -> Iterator[int]:
        """Yield the rows in which one content occurs, as `find` tells them."""
        heads, tails, lengths, rows = self.columns
        width, wanted = len(tail), list(tail)
        at = bisect_left(heads, head)
        for row in range(at, min(at + _HITS_MAX, len(heads))):
            if heads[row] != head:
                return
            others = tails[row * width : row * width + width].tolist()
            if lengths[row] == length and others == wanted:
                yield rows[row]


class GoldIndex:
    """The shards of several versions, those to be named first before the others."""

    def __init__(self, versions: Sequence[Version], shards: Sequence[Shard]) -> None:
        self.versions = tuple(versions)
        self._shards = tuple(shards)

    @property
    def files(self) -> int:
        """How many files it knows, each as often as it occurs."""
        return sum(shard.files for shard in self._shards)

    @cached_property
    def sizes(self) -> np.ndarray:
        """The sizes that occur, ascending."""
        distinct = [np.asarray(shard.sizes) for shard in self._shards]
        if len(distinct) == 1:
            return distinct[0]
        # None at all: an empty column.
        return np.unique(np.concatenate([np.empty(0, np.int64), *distinct]))

    @property
    def size_columns(self) -> tuple[memoryview, ...]:
        """The sizes that occur, ascending, of each version."""
        return tuple(shard.sizes for shard in self._shards)

    @property
    def algorithms(self) -> tuple[Algorithm, ...]:
        """The algorithms that a file's digest must be known by, to be looked for everywhere."""
        return tuple(dict.fromkeys(version.algorithm for version in self.versions))

    def prepare(self) -> None:
        """Check what is searched, where it was not yet: while others read, this costs no time.

        Raises:
            CatalogDamagedError: something has to be made again, and its manifest is damaged.
        """
        for shard in self._shards:
            shard.columns  # noqa: B018  checked when it is first asked for

    def may_hold(self, sizes: np.ndarray) -> np.ndarray:
        """Return for each size whether it occurs in gold; an empty file is no copy."""
        known = self.sizes
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
        none = np.empty(0, np.int64)
        # Neighbours among the digests are neighbours in the shards: fewer pages are touched.
        order = np.argsort(digests[:, 0], kind="stable") if len(digests) else none
        sizes, digests = sizes[order], digests[order]
        for number, (version, shard) in enumerate(zip(self.versions, self._shards, strict=True)):
            if version.algorithm is algorithm:
                queries, rows = shard.find(sizes, digests)
                parts.append((order[queries], np.full(len(queries), number), rows))
        columns = [
            np.concatenate([none, *(part[i] for part in parts)]).astype(np.int64) for i in range(3)
        ]
        sorted_ = np.lexsort((columns[2], columns[1], columns[0]))
        return Hits(*(column[sorted_] for column in columns))

    def find_few(
        self, algorithm: Algorithm, sizes: Sequence[int], digests: memoryview
    ) -> list[Hit]:
        """Return what `find` does, sooner for some thousand contents than numpy is loaded.

        `digests` has the 64-bit words of each.
        """
        width, found = algorithm.digest_bytes // 8, []
        words = digests.tolist()
        heads = words[::width]
        for number, (version, shard) in enumerate(zip(self.versions, self._shards, strict=True)):
            if version.algorithm is algorithm:
                known = shard.known(heads)
                for query in [at for at, head in enumerate(heads) if head in known]:
                    tail = words[query * width + 1 : (query + 1) * width]
                    rows = shard.places(sizes[query], heads[query], tail)
                    found += [Hit(query, number, row) for row in rows]
        return sorted(found)
