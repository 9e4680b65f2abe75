"""Who could write a source, by its permission bits."""

from __future__ import annotations

import stat
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from dataguard.core.columns import kind_mask, numbers

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["WriterCount"]


class WriterCount:
    """Counts the regular files that user ids, group ids and everybody may write."""

    def __init__(self) -> None:
        self.owners: Counter[int] = Counter()
        self.groups: Counter[int] = Counter()
        self.everybody = 0

    def add(self, entries: pa.RecordBatch) -> None:
        """Count the next observed entries; without rows they may lack the columns of a scan."""
        if not entries.num_rows:
            return
        files = kind_mask(entries, "f")
        mode = numbers(entries.column("mode"))
        self._count(self.owners, entries, "uid", files & (mode & stat.S_IWUSR > 0))
        self._count(self.groups, entries, "gid", files & (mode & stat.S_IWGRP > 0))
        self.everybody += int((files & (mode & stat.S_IWOTH > 0)).sum())

    @staticmethod
    def _count(counter: Counter[int], entries: pa.RecordBatch, name: str, rows: np.ndarray) -> None:
        ids, counts = np.unique(numbers(entries.column(name))[rows], return_counts=True)
        counter.update(dict(zip(ids.tolist(), counts.tolist(), strict=True)))
