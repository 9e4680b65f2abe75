"""Files that have chunks of gold: which to compare where, and what the comparisons come to."""

from __future__ import annotations

from bisect import bisect_right
from operator import attrgetter
from typing import TYPE_CHECKING

from dataguard.core.lookup import lookup
from dataguard.core.numeric import np
from dataguard.core.partial import Part
from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = [
    "LEAST_SHARED",
    "ChunkColumns",
    "ChunkIndex",
    "Chunks",
    "Cover",
    "Hit",
    "Span",
    "covered",
    "index_of",
    "joined_chunks",
    "part_told",
    "promising",
]

LEAST_SHARED = 1 << 19
"""Bytes that a file and gold have in common in runs of chunks before it is told."""


@dataclass(frozen=True, slots=True)
class Chunks:
    """The chunks of one file in their order: digests (uint64), offsets and lengths (int64)."""

    digests: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray


@dataclass(frozen=True, slots=True)
class ChunkColumns:
    """The chunks of a version's files; `rows` are those of the manifest."""

    digests: np.ndarray
    rows: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray


@dataclass(frozen=True, slots=True)
class ChunkIndex:
    """The chunks of a version's files, ascending by digest; `rows` are those of the manifest."""

    digests: np.ndarray
    rows: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray

    def find(self, chunks: Chunks, version: int, *, most: int) -> Iterator[Hit]:
        """Yield where chunks of a file occur, at most so many places of each."""
        queries, at = lookup(self.digests, chunks.digests, most=most)
        same = chunks.lengths[queries] == self.lengths[at]
        queries, at = queries[same], at[same]
        columns = (
            chunks.offsets[queries],
            self.rows[at],
            self.offsets[at],
            chunks.lengths[queries],
        )
        for offset, row, original, length in zip(*(one.tolist() for one in columns), strict=True):
            yield Hit(offset, length, version, row, original)


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk of a file, by offset and length, and a place in gold that has its digest.

    The place is a version by its number, a row of its manifest, and the offset there.
    """

    offset: int
    length: int
    version: int
    row: int
    original: int

    @property
    def source(self) -> tuple[int, int]:
        """The file of gold."""
        return self.version, self.row


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of a file that were compared with those of a file of gold, and are the same."""

    offset: int
    length: int
    version: int
    row: int
    original: int

    @property
    def end(self) -> int:
        """The offset after it in the file."""
        return self.offset + self.length

    @property
    def source(self) -> tuple[int, int]:
        """The file of gold."""
        return self.version, self.row


class Cover:
    """The spans of a file that are known so far; none overlaps another."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def room(self, hit: Hit) -> tuple[int, int] | None:
        """Return between which offsets bytes around a hit are not known; None where all are."""
        at = bisect_right(self.spans, hit.offset, key=attrgetter("offset"))
        start = self.spans[at - 1].end if at else 0
        end = self.spans[at].offset if at < len(self.spans) else 1 << 62
        return (start, end) if max(start, hit.offset) < min(end, hit.offset + hit.length) else None

    def add(self, span: Span) -> None:
        """Take a span that lies in the room of its hit."""
        self.spans.insert(bisect_right(self.spans, span.offset, key=attrgetter("offset")), span)


def index_of(chunks: ChunkColumns) -> ChunkIndex:
    """Return chunks in the order in which they are looked up."""
    order = np.argsort(chunks.digests, kind="stable")
    columns = (chunks.digests, chunks.rows, chunks.offsets, chunks.lengths)
    return ChunkIndex(*(one[order] for one in columns))


def joined_chunks(parts: Iterable[ChunkColumns]) -> ChunkColumns:
    """Return the chunks of all parts, in their order."""
    none = (np.empty(0, np.uint64), *(np.empty(0, np.int64) for _ in range(3)))
    found = [none, *((one.digests, one.rows, one.offsets, one.lengths) for one in parts)]
    return ChunkColumns(*(np.concatenate(column) for column in zip(*found, strict=True)))


def promising(hits: Iterable[Hit]) -> list[Hit]:
    """Return hits in the order in which to compare: those first that agree on most bytes.

    Hits agree where the same file of gold lies at the same distance.
    """
    found = list(hits)
    weights: dict[tuple[int, int, int], int] = {}
    for one in found:
        weights[_run(one)] = weights.get(_run(one), 0) + one.length
    return sorted(found, key=lambda one: (-weights[_run(one)], _run(one), one.offset))


def covered(spans: Iterable[Span]) -> int:
    """Return how many bytes of one file of gold occur in spans, each counted once."""
    total = end = 0
    for one in sorted(spans, key=attrgetter("original")):
        total += max(one.original + one.length - max(one.original, end), 0)
        end = max(end, one.original + one.length)
    return total


def part_told(spans: Sequence[Span], size: int, original: int) -> Part:
    """Return how a file relates to a file of gold with which it has these spans in common."""
    if len(spans) == 1 and spans[0].length == original:
        return Part.EMBEDDED
    if len(spans) == 1 and spans[0].length == size:
        return Part.EXCERPT
    return Part.SHIFTED


def _run(hit: Hit) -> tuple[int, int, int]:
    return hit.version, hit.row, hit.original - hit.offset
