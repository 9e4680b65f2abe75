"""Sorts more entries than fit into memory, by way of files without a name."""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import IO, TYPE_CHECKING, Self

import pyarrow as pa

from dataguard.core.columns import gather, joined
from dataguard.core.merge import by_path, merge_sorted
from dataguard.errors import StoreUnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["SpillingSort"]

_RUNS_MAX = 32
"""Runs merged at a time: each is an open file and a batch in memory."""


class SpillingSort:
    """Brings entries that come in any order into path order.

    Holds at most twice `rows` entries: what is more waits in sorted runs on disk, which vanish
    with the process however that ends. Use as a context manager. Law: `sorted()` yields what
    sorting in memory would.
    """

    def __init__(self, directory: str, *, rows: int) -> None:
        self._directory = directory
        self._rows = rows
        self._chunk = max(rows // _RUNS_MAX, 1)
        self._pending: list[pa.RecordBatch] = []
        self._held = 0
        self._runs: list[IO[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        for run in self._runs:
            run.close()

    def add(self, entries: pa.RecordBatch) -> None:
        """Take entries in any order.

        Raises:
            StoreUnreachableError: the disk is full or fails.
        """
        for start in range(0, entries.num_rows, self._rows):
            part = entries.slice(start, self._rows)
            if self._held + part.num_rows > self._rows:
                self._spill()
            self._pending.append(part)
            self._held += part.num_rows

    def sorted(self) -> Iterator[pa.RecordBatch]:
        """Yield everything in path order, once.

        Raises:
            CatalogDamagedError: two entries have the same path.
            StoreUnreachableError: the disk fails.
        """
        runs = [self._read(run) for run in self._runs]
        memory = [by_path(joined(self._pending))] if self._pending else []
        self._pending, self._held = [], 0
        return merge_sorted([*runs, memory])

    def _spill(self) -> None:
        """Make what is in memory a run, and of too many runs one."""
        if len(self._runs) == _RUNS_MAX:
            merged = self._written(merge_sorted([self._read(run) for run in self._runs]))
            for run in self._runs:
                run.close()
            self._runs = [merged]
        self._runs.append(self._written([by_path(joined(self._pending))]))
        self._pending, self._held = [], 0

    def _written(self, batches: Iterable[pa.RecordBatch]) -> IO[bytes]:
        with self._disk_errors(), contextlib.ExitStack() as failing:
            file = failing.enter_context(tempfile.TemporaryFile(dir=self._directory))
            writer: pa.RecordBatchStreamWriter | None = None
            for batch in gather(batches, self._chunk):
                writer = writer or pa.ipc.new_stream(file, batch.schema)
                writer.write_table(pa.Table.from_batches([batch]), max_chunksize=self._chunk)
            if writer is not None:
                writer.close()
            failing.pop_all()  # it stays open: closing is what removes it
        return file

    def _read(self, run: IO[bytes]) -> Iterator[pa.RecordBatch]:
        with self._disk_errors():
            run.seek(0, os.SEEK_SET)
            reader = pa.ipc.open_stream(run)
        while True:
            with self._disk_errors():
                batch = next(reader, None)
            if batch is None:
                return
            yield batch

    @contextlib.contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as err:
            raise StoreUnreachableError(
                f"cannot sort in {self._directory}: {err.strerror or err}",
                hint=f"df -h {self._directory}",
            ) from err
