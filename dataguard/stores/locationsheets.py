"""Location sheets as they are compared: objects have the columns of files beside their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from dataguard.core.objectsigns import as_files
from dataguard.model.schema import LOCATION_SHEET, OBJECT_SHEET, SHEET_FORMAT
from dataguard.stores.rowgroups import opened, row_group, row_groups

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["is_of_objects", "sheet_group", "sheet_groups"]

_WITH_SIGNS = pa.schema([*LOCATION_SHEET, *OBJECT_SHEET])


def sheet_groups(path: str) -> Iterator[pa.RecordBatch]:
    """Yield the row groups of a location sheet.

    Raises:
        CatalogDamagedError: as `row_groups`.
    """
    if not is_of_objects(path):
        return row_groups(path, LOCATION_SHEET, SHEET_FORMAT)
    return map(_with_signs, row_groups(path, OBJECT_SHEET, SHEET_FORMAT))


def sheet_group(path: str, number: int) -> pa.RecordBatch:
    """Return one row group of a location sheet.

    Raises:
        CatalogDamagedError: as `row_group`.
    """
    if not is_of_objects(path):
        return row_group(path, LOCATION_SHEET, SHEET_FORMAT, number)
    return _with_signs(row_group(path, OBJECT_SHEET, SHEET_FORMAT, number))


def is_of_objects(path: str) -> bool:
    """Whether a location sheet is one of a bucket.

    Raises:
        CatalogDamagedError: the file is missing, or no Parquet file.
    """
    with opened(path) as file:
        return "etag" in file.metadata.schema.names


def _with_signs(facts: pa.RecordBatch) -> pa.RecordBatch:
    signs = as_files(facts.column("etag"), facts.column("last_modified"))
    columns = [*signs.values(), *facts.columns]
    return pa.RecordBatch.from_arrays(columns, schema=_WITH_SIGNS)
