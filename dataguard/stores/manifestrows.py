"""The paths of some rows of a manifest: only the row groups that hold them are read."""

from __future__ import annotations

import pyarrow as pa

from dataguard.core.columns import distinct, number_column, raw_paths
from dataguard.core.kernels import taken
from dataguard.core.numeric import np
from dataguard.errors import CatalogDamagedError
from dataguard.model.schema import ROWS_PER_GROUP
from dataguard.stores.rowgroups import opened

__all__ = ["paths_at"]


def paths_at(manifest: str, rows: np.ndarray) -> list[bytes]:
    """Return the paths of these rows, which are numbered from 0, in the order given.

    Raises:
        CatalogDamagedError: the manifest is missing or damaged, or has no such row.
    """
    wanted, back = np.unique(rows, return_inverse=True)
    found: list[bytes] = []
    with opened(manifest) as file:
        groups = wanted // ROWS_PER_GROUP
        for group in distinct(groups).tolist():
            within = wanted[groups == group] - group * ROWS_PER_GROUP
            try:
                table = file.read_row_group(group, columns=["path", "path_raw"], use_threads=False)
                batch = table.combine_chunks().to_batches()[0]
                found += taken(raw_paths(batch), number_column(within)).to_pylist()
            except (pa.ArrowException, OSError, IndexError) as err:
                raise CatalogDamagedError(f"{manifest} is damaged: {err}") from err
    return [found[i] for i in back.tolist()]
