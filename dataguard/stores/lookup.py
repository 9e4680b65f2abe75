"""Single rows of a manifest and its sheet, found without reading the rest of it."""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from dataguard.core.columns import binary_column, raw_paths, truths
from dataguard.core.slicing import rows_in
from dataguard.errors import CatalogDamagedError
from dataguard.model.schema import MANIFEST_FORMAT, manifest_schema
from dataguard.stores.locationsheets import sheet_group
from dataguard.stores.rowgroups import row_group

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dataguard.model.digest import Algorithm, RootDigest
    from dataguard.model.span import Span
    from dataguard.stores.manifests import ManifestStore

__all__ = ["Lookup"]

_KEPT = 4
"""Row groups in memory, some ten megabytes each: what changes at one time lies close together."""


class Lookup:
    """The rows of one manifest beside those of a location sheet, if it has one.

    The manifest is verified as a whole once, when it is opened.
    """

    def __init__(
        self, manifests: ManifestStore, root: RootDigest, algorithm: Algorithm, sheet: str | None
    ) -> None:
        """Read the manifest to its end, and remember where its row groups begin.

        Raises:
            CatalogDamagedError: it is missing or damaged.
        """
        self._manifest = manifests.manifest_path(root)
        self._sheet = None if sheet is None else manifests.sheet_path(root, sheet)
        self._schema = manifest_schema(algorithm)
        self._kept: dict[int, pa.RecordBatch] = {}
        self._firsts: list[bytes] = [
            raw_paths(batch)[0].as_py() for batch in manifests.read(root, algorithm)
        ]

    def at(self, paths: Sequence[bytes]) -> Iterator[pa.RecordBatch]:
        """Yield the rows at these paths, which are in path order; those that are not are left out.

        Raises:
            CatalogDamagedError: manifest or sheet cannot be read any more.
        """
        for number, wanted in self._by_group(paths):
            batch = self.group(number)
            found = pc.is_in(raw_paths(batch), value_set=binary_column(wanted))
            if truths(found, null=False).any():
                yield batch.filter(found)

    def within(self, span: Span) -> Iterator[pa.RecordBatch]:
        """Yield the rows in a span of paths.

        Raises:
            CatalogDamagedError: as `at`.
        """
        first = max(self.holding(span.after), 0)
        through = span.through
        last = len(self._firsts) if through is None else bisect.bisect(self._firsts, through)
        yield from rows_in((self.group(number) for number in range(first, last)), span)

    @property
    def groups(self) -> int:
        """How many row groups there are."""
        return len(self._firsts)

    def holding(self, path: bytes) -> int:
        """Return the number of the row group that holds a path if any does; -1 before the first."""
        return bisect.bisect_right(self._firsts, path) - 1

    def group(self, number: int) -> pa.RecordBatch:
        """Return a row group, which is kept for a while.

        Raises:
            CatalogDamagedError: as `at`.
        """
        batch = self._kept.pop(number, None)
        if batch is None:
            batch = self._read(number)
        self._kept[number] = batch  # the last one asked for stands last
        for oldest in list(self._kept)[:-_KEPT]:  # another thread may be at it too
            self._kept.pop(oldest, None)
        return batch

    def _by_group(self, paths: Sequence[bytes]) -> Iterator[tuple[int, Sequence[bytes]]]:
        start = 0
        while start < len(paths):
            number = self.holding(paths[start])
            end = len(paths)
            if number + 1 < len(self._firsts):
                end = bisect.bisect_left(paths, self._firsts[number + 1], start)
            if number >= 0:
                yield number, paths[start:end]
            start = end

    def _read(self, number: int) -> pa.RecordBatch:
        batch = row_group(self._manifest, self._schema, MANIFEST_FORMAT, number)
        if self._sheet is None:
            return batch
        beside = sheet_group(self._sheet, number)
        if beside.num_rows != batch.num_rows:
            raise CatalogDamagedError(f"the sheet {self._sheet} does not fit its manifest")
        return pa.RecordBatch.from_arrays(
            [*batch.columns, *beside.columns], schema=pa.schema([*batch.schema, *beside.schema])
        )
