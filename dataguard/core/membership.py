"""Whether paths that come in order occur in a stream of entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.core.columns import raw_paths
from dataguard.core.runs import rows_through

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

__all__ = ["Membership"]


class Membership:
    """Answers for ascending paths, in one pass over the stream and constant memory."""

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        self._batches = iter(batches)
        self._paths: pa.Array | None = None

    def contains(self, path: bytes) -> bool:
        """Whether the stream has an entry at `path`; paths must be asked in ascending order."""
        while self._paths is None or self._paths[len(self._paths) - 1].as_py() < path:
            batch = next(self._batches, None)
            if batch is None:
                return False
            self._paths = raw_paths(batch) if batch.num_rows else self._paths
        row = rows_through(self._paths, path) - 1
        return row >= 0 and self._paths[row].as_py() == path
