"""The files of a place as one walk found them, for all that look at them later: nothing is kept.

Columns in a file without a name, in path order; a row takes some 30 bytes of disk and no memory.
"""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Self

import pyarrow as pa

from dataguard.core.columns import kind_mask, number_column, numbers
from dataguard.core.kernels import taken
from dataguard.core.numeric import np
from dataguard.errors import DataguardError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["COLUMNS", "FileRoll"]

COLUMNS = ("path", "path_raw", "size", "mtime_ns", "ctime_ns", "inode", "racy")
"""What is kept of an entry, enough to know the file again."""


class FileRoll:
    """The regular files of `least` bytes or more of what is added."""

    def __init__(self, least: int) -> None:
        """Begin with none.

        Raises:
            DataguardError: there is no place for temporary files.
        """
        self._least = least
        try:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115  closed with the roll
        except OSError as err:
            raise _no_room(err) from err
        self._writer: pa.ipc.RecordBatchStreamWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def add(self, entries: pa.RecordBatch) -> None:
        """Add entries of a scan, which follow those before in path order.

        Raises:
            DataguardError: there is no room for temporary files.
        """
        kept = kind_mask(entries, "f") & (numbers(entries.column("size")) >= self._least)
        if not kept.any():
            return
        rows = entries.select(COLUMNS)
        if not kept.all():
            rows = taken(rows, number_column(np.flatnonzero(kept)))
        try:
            if self._writer is None:
                options = pa.ipc.IpcWriteOptions(compression="zstd", use_threads=False)
                self._writer = pa.ipc.new_stream(self._file, rows.schema, options=options)
            self._writer.write_batch(rows)
        except OSError as err:
            raise _no_room(err) from err

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield all of them, from the first on each time it is asked; nothing is added later."""
        if self._writer is None:
            return
        self._writer.close()
        self._file.seek(0)
        yield from pa.ipc.open_stream(self._file)

    def close(self) -> None:
        """Let go of them."""
        self._file.close()


def _no_room(err: OSError) -> DataguardError:
    words = f"cannot write a temporary file in {tempfile.gettempdir()}: {err.strerror or err}"
    return DataguardError(words, hint="name a directory with room: TMPDIR=/var/tmp dataguard ...")
