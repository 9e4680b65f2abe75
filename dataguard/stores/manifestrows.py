"""The paths of some rows of a manifest: only the row groups that hold them are read."""

from __future__ import annotations

from array import array
from itertools import groupby
from typing import TYPE_CHECKING

import pyarrow as pa

from dataguard.core.columns import array_column, raw_paths
from dataguard.core.kernels import taken
from dataguard.errors import CatalogDamagedError
from dataguard.model.schema import ROWS_PER_GROUP
from dataguard.stores.rowgroups import opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["paths_at"]


def paths_at(manifest: str, rows: Sequence[int]) -> list[bytes]:
    """Return the paths of these rows, which are numbered from 0, in the order given.

    Raises:
        CatalogDamagedError: the manifest is missing or damaged, or has no such row.
    """
    wanted = sorted(set(rows))
    found = dict(zip(wanted, _paths(manifest, wanted), strict=True))
    return [found[row] for row in rows]


def _paths(manifest: str, rows: Sequence[int]) -> Iterator[bytes]:
    """Yield the paths of rows that ascend."""
    with opened(manifest) as file:
        for group, members in groupby(rows, _group):
            within = array("q", (row - group * ROWS_PER_GROUP for row in members))
            try:
                table = file.read_row_group(group, columns=["path", "path_raw"], use_threads=False)
                batch = table.combine_chunks().to_batches()[0]
                paths = taken(raw_paths(batch), array_column(within, pa.int64())).to_pylist()
            except (pa.ArrowException, OSError, IndexError) as err:
                raise CatalogDamagedError(f"{manifest} is damaged: {err}") from err
            yield from paths


def _group(row: int) -> int:
    return row // ROWS_PER_GROUP
