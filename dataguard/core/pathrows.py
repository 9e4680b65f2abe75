"""The rows of one row group, by path: what is asked for one by one costs no search in Arrow."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from dataguard.core.columns import (
    content_of,
    fixed_bytes,
    numbers,
    raw_paths,
    truths,
    values_of,
)
from dataguard.core.numeric import np
from dataguard.model.entry import Kind
from dataguard.model.pinned import Baseline, PinnedEntry

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["PathRows"]

_KINDS = {ord(kind.value): kind for kind in Kind}


class PathRows:
    """Rows of a manifest in path order; with the columns of a local sheet, baselines too."""

    __slots__ = (
        "_data",
        "_digests",
        "_inodes",
        "_kinds",
        "_links",
        "_modified",
        "_offsets",
        "_pins",
        "_sizes",
        "_times",
        "_width",
        "count",
    )

    def __init__(self, batch: pa.RecordBatch) -> None:
        content, lengths = values_of(raw_paths(batch))
        offsets = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        self.count = batch.num_rows
        # Bytes compare in order, and views give numbers of Python: numpy's are slow one by one.
        self._data, self._offsets = bytes(content), offsets.data
        self._kinds = bytes(content_of(batch.column("kind")))
        self._sizes = np.ascontiguousarray(numbers(batch.column("size"))).data
        self._digests = bytes(fixed_bytes(batch.column("digest")))
        self._width = batch.column("digest").type.byte_width
        self._links = batch.column("link_target")
        self._inodes, self._times = _baselines(batch)
        names = batch.schema.names
        self._modified = _modified(batch)
        self._pins = [
            batch.column(name) if name in names else None for name in ("version_id", "etag")
        ]

    def path(self, row: int) -> bytes:
        """Return the path of a row."""
        return self._data[self._offsets[row] : self._offsets[row + 1]]

    def first_from(self, bound: bytes) -> int:
        """Return the first row whose path is at least `bound`; `count` where all are less."""
        data, offsets = self._data, self._offsets
        # As `path`, without a look at the object for each of some sixteen steps.
        return bisect_left(
            range(self.count), bound, key=lambda row: data[offsets[row] : offsets[row + 1]]
        )

    def find(self, path: bytes) -> int | None:
        """Return the row of a path, None where there is none."""
        row = self.first_from(path)
        return row if row < self.count and self.path(row) == path else None

    def entry(self, row: int) -> PinnedEntry:
        """Return a row as an entry."""
        kind = _KINDS[self._kinds[row]]
        start = row * self._width
        version_id, etag = (None if one is None else one[row].as_py() for one in self._pins)
        return PinnedEntry(
            self.path(row),
            kind,
            self._sizes[row],
            self._digests[start : start + self._width],
            self._links[row].as_py() if kind is Kind.SYMLINK else None,
            self._baseline(row),
            version_id,
            etag,
            None if self._modified is None else self._modified[row],
        )

    def file_bytes(self, start: int, stop: int) -> int:
        """Return the sizes of the regular files among some rows, added up."""
        files = np.frombuffer(self._kinds, np.uint8)[start:stop] == ord(Kind.FILE.value)
        return int(np.asarray(self._sizes)[start:stop][files].sum())

    def _baseline(self, row: int) -> Baseline | None:
        if self._inodes is None or self._inodes[row] < 0:
            return None
        return Baseline(self._inodes[row], self._times[2 * row], self._times[2 * row + 1])


def _modified(batch: pa.RecordBatch) -> memoryview | None:
    """Return the times of objects; None where the rows are of none, or lack them."""
    names = batch.schema.names
    if "etag" not in names or "mtime_ns" not in names or batch.column("mtime_ns").null_count:
        return None
    return np.ascontiguousarray(numbers(batch.column("mtime_ns"))).data


def _baselines(batch: pa.RecordBatch) -> tuple[memoryview | None, memoryview]:
    """Return inodes, -1 where a row vouches for nothing, and pairs of times; None without a sheet.

    A row that is racy vouches for nothing: its file may have changed since without a trace.
    """
    names = ("inode", "mtime_ns", "ctime_ns", "racy")
    nothing = memoryview(b"")
    if not set(names) <= set(batch.schema.names):
        return None, nothing
    inode, mtime, ctime, racy = (batch.column(name) for name in names)
    if inode.null_count or mtime.null_count or ctime.null_count:
        return None, nothing
    inodes = numbers(inode).copy()
    inodes[truths(racy, null=True)] = -1
    times = np.stack([numbers(mtime), numbers(ctime)], axis=1).ravel()
    return inodes.data, times.data
