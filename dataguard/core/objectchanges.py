"""What became of the objects of a version, as a listing of all versions of a bucket tells.

Two streams in key order are merged: what was registered, and what is listed. Stretches that are as
they were registered are compared by the column; only the others are looked at row by row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from dataguard.core.columns import flag_column, numbers, raw_paths, shortened
from dataguard.core.kernels import kept
from dataguard.core.objectverdicts import Seen, VersionRow, verdict
from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dataguard.core.verdicts import Difference

__all__ = ["changes", "version_rows"]

_STEP = 1000
"""Rows that are turned into values at a time."""


def changes(
    expected: Iterable[pa.RecordBatch], listed: Iterable[pa.RecordBatch], prefix: bytes
) -> Iterator[Difference]:
    """Yield what differs, in key order; memory is constant.

    `expected` is the manifest with its sheet of objects. `listed` are rows like those of `LISTING`
    below the prefix, in the order of keys, of one key the newest first.

    Raises:
        ValueError: the listing is not in the order of keys.
    """
    merge = _Merge(_Expectations(expected), len(prefix))
    for page in listed:
        yield from merge.page(page)
    yield from merge.rest()


@dataclass(slots=True)
class _Open:
    """The key at the end of a page: more of its versions may come with the next."""

    path: bytes
    pinned: VersionRow | None
    newest: VersionRow
    kept: bool = False

    def note(self, version_id: str | None) -> None:
        """Take note of one more version of the key."""
        if self.pinned is not None and version_id == self.pinned.version_id:
            self.kept = True


class _Row(NamedTuple):
    """One row of a listing."""

    path: bytes
    version: VersionRow


class _Merge:
    def __init__(self, expectations: _Expectations, skip: int) -> None:
        self._expected = expectations
        self._skip = skip
        self._open: _Open | None = None
        self._done = b""
        """The last key that was judged; more of its versions mean nothing."""

    def page(self, page: pa.RecordBatch) -> Iterator[Difference]:
        """Yield what differs in the next rows of the listing, but for their last key."""
        paths = shortened(page.column("key"), self._skip)
        start = self._settled(page, paths)
        if self._open is not None and start < page.num_rows:
            yield from self._close()
        if start == page.num_rows or self._is_as_expected(page, paths, start):
            return
        for row in _rows(page.slice(start), paths.slice(start)):
            yield from self._take(row)

    def rest(self) -> Iterator[Difference]:
        """Yield what is missing after the last key that was listed."""
        yield from self._close()
        yield from self._missing_before(None)

    def _settled(self, page: pa.RecordBatch, paths: pa.Array) -> int:
        """Return how many rows at the start belong to the last key of the page before."""
        at = 0
        while at < page.num_rows:
            path = paths[at].as_py()
            if self._open is not None and path == self._open.path:
                self._open.note(page.column("version_id")[at].as_py())
            elif not path or path != self._done:
                break
            at += 1
        return at

    def _is_as_expected(self, page: pa.RecordBatch, paths: pa.Array, start: int) -> bool:
        """Whether all that stands in the page now was registered, and nothing beside; take it."""
        page, paths = page.slice(start), paths.slice(start)
        stands = numbers(page.column("is_latest")) & ~numbers(page.column("is_delete_marker"))
        first, last = paths[0].as_py(), paths[len(paths) - 1].as_py()
        if not first or first <= self._done or not stands.any():
            return False
        if not stands.all():
            page = kept(page, flag_column(bytes(stands)))
            paths = shortened(page.column("key"), self._skip)
        if not self._expected.take_alike(page, paths, last):
            return False
        self._done = last
        return True

    def _take(self, row: _Row) -> Iterator[Difference]:
        if self._open is not None and row.path == self._open.path:
            self._open.note(row.version.version_id)
            return
        yield from self._close()
        if not row.path:  # the name of the prefix alone marks a folder
            return
        if row.path <= self._done:
            raise ValueError("the server does not list keys in order")
        yield from self._missing_before(row.path)
        pinned = self._expected.pop() if self._expected.peek() == row.path else None
        self._open = _Open(row.path, pinned, row.version)
        self._open.note(row.version.version_id)

    def _close(self) -> Iterator[Difference]:
        ended, self._open = self._open, None
        if ended is not None:
            self._done = ended.path
            found = verdict(ended.path, ended.pinned, Seen(ended.newest, ended.kept))
            if found is not None:
                yield found

    def _missing_before(self, path: bytes | None) -> Iterator[Difference]:
        while (key := self._expected.peek()) is not None and (path is None or key < path):
            found = verdict(key, self._expected.pop(), None)
            if found is not None:
                yield found


class _Expectations:
    """The rows of a manifest with its sheet, one after the other or by the page."""

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        self._batches = iter(batches)
        self._batch: pa.RecordBatch | None = None
        self._paths: pa.Array | None = None
        self._at = 0
        self._from = 0
        self._values: list[tuple[bytes, VersionRow]] = []

    def peek(self) -> bytes | None:
        """Return the path of the next row; None at the end."""
        if not self._fill():
            return None
        return self._value()[0]

    def pop(self) -> VersionRow:
        """Return the next row, of which `peek` told, and go on."""
        pinned = self._value()[1]
        self._at += 1
        return pinned

    def take_alike(self, page: pa.RecordBatch, paths: pa.Array, last: bytes) -> bool:
        """Go past as many rows as the page has if they are the same, and none to `last` follows."""
        count = page.num_rows
        if not self._fill() or self._batch is None or self._paths is None:
            return False
        batch = self._batch.slice(self._at, count)
        if batch.num_rows < count or not self._paths.slice(self._at, count).equals(paths):
            return False
        if not _alike(batch, page):
            return False
        after = self._at + count
        if after < len(self._paths):
            if self._paths[after].as_py() <= last:
                return False
        elif paths[count - 1].as_py() != last:  # what follows is in a batch to come
            return False
        self._at = after
        return True

    def _fill(self) -> bool:
        while self._batch is None or self._at >= self._batch.num_rows:
            self._batch = next(self._batches, None)
            if self._batch is None:
                return False
            self._paths = raw_paths(self._batch)
            self._at = self._from = 0
            self._values = []
        return True

    def _value(self) -> tuple[bytes, VersionRow]:
        if not self._from <= self._at < self._from + len(self._values):
            self._from = self._at
            self._values = self._read()
        return self._values[self._at - self._from]

    def _read(self) -> list[tuple[bytes, VersionRow]]:
        if self._batch is None or self._paths is None:
            return []
        paths = self._paths.slice(self._at, _STEP).to_pylist()
        versions = version_rows(self._batch.slice(self._at, _STEP))
        return list(zip(paths, versions, strict=True))


def _alike(batch: pa.RecordBatch, page: pa.RecordBatch) -> bool:
    """Whether rows of the same keys are pinned to what is listed, or look as they did."""
    ids = batch.column("version_id")
    if ids.null_count == 0 and "null" not in ids.to_pylist() and not _untold(page):
        return bool(ids.equals(page.column("version_id")))
    names = ("size", "etag", "last_modified")
    return all(batch.column(name).equals(page.column(name)) for name in names) and (
        _untold(page) or bool(ids.equals(page.column("version_id")))
    )


def _untold(page: pa.RecordBatch) -> bool:
    """Whether a listing has no version ids."""
    ids = page.column("version_id")
    return bool(ids.null_count == len(ids))


def _rows(page: pa.RecordBatch, paths: pa.Array) -> Iterator[_Row]:
    return map(_Row, paths.to_pylist(), version_rows(page))


def version_rows(batch: pa.RecordBatch) -> list[VersionRow]:
    """Return rows of a listing, or of a manifest with its sheet of objects, as values."""
    names = batch.schema.names
    columns = [batch.column(name).to_pylist() for name in ("version_id", "etag", "size")]
    columns.append(batch.column("last_modified").view(pa.int64()).to_pylist())
    if "is_delete_marker" in names:
        columns.append(batch.column("is_delete_marker").to_pylist())
    return list(map(VersionRow, *columns))
