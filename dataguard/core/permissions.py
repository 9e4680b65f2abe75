"""Who could write a source, by its permission bits."""

from __future__ import annotations

import stat
from array import array
from collections import Counter
from typing import TYPE_CHECKING

from dataguard.core.columns import are_files, array_column
from dataguard.core.kernels import counted, equal, kept

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["WriterCount"]

_WRITABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


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
        columns = entries.select(["mode", "uid", "gid"])
        files = kept(columns, are_files(entries.column("kind")))
        # Few modes occur, mostly one: by them, not by files.
        for mode, count in counted(files.column("mode")).items():
            if mode & _WRITABLE:
                self._count(mode, _of_mode(files, mode, count))

    def _count(self, mode: int, files: pa.RecordBatch) -> None:
        if mode & stat.S_IWUSR:
            self.owners.update(counted(files.column("uid")))
        if mode & stat.S_IWGRP:
            self.groups.update(counted(files.column("gid")))
        if mode & stat.S_IWOTH:
            self.everybody += files.num_rows


def _of_mode(files: pa.RecordBatch, mode: int, count: int) -> pa.RecordBatch:
    if count == files.num_rows:
        return files
    modes = files.column("mode")
    return kept(files, equal(modes, array_column(array("i", [mode]), modes.type)[0]))
