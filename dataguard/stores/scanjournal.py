"""What a scan for copies has read so far, for the next one if this one is killed.

Frames (see `stores/frames.py`) in a file beside the notes: a head, then rows at bounded intervals.
What is lost of it costs reading, and nothing else.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa

from dataguard.core.columns import joined, number_column, raw_paths
from dataguard.core.kernels import taken
from dataguard.core.numeric import np
from dataguard.stores.frames import append_frames, frames

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ScanJournal"]

_FORMAT = 1
_HEAD, _ROWS = b"HEAD", b"ROWS"
_FILES_MOST = 4096
_BYTES_MOST = 256 << 20
"""What is read between two frames, and lost at the most."""


class ScanJournal:
    """The journal of one user's scans of one place, held by one process at a time.

    Where another one holds it, or it cannot be written, nothing is kept.
    """

    def __init__(self, path: str, filesystem: int, schema: pa.Schema) -> None:
        """Read nothing yet; rows of another file system or schema are dropped."""
        self._path = path
        self._schema = schema
        self._filesystem = filesystem
        self._descriptor = -1
        self._held: list[pa.RecordBatch] = []
        self._files = self._size = 0

    def open(self) -> None:
        """Take hold of the file, so that what is added is kept."""
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(self._path, flags, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._begin(descriptor)
            except OSError:
                os.close(descriptor)
                raise
            self._descriptor = descriptor

    def known(self) -> list[pa.RecordBatch]:
        """Return the rows that were kept, the last of each path; in no order."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:  # none
            return []
        try:
            found = list(self._rows(descriptor))
        except (OSError, pa.ArrowException):
            return []  # they are read again
        finally:
            os.close(descriptor)
        return _last_of_each(joined(found)) if found else []

    def add(self, entries: pa.RecordBatch, size: int) -> None:
        """Keep entries that were read, and how many bytes that took."""
        if self._descriptor < 0 or not entries.num_rows:
            return
        self._held.append(entries)
        self._files += entries.num_rows
        self._size += size
        if self._files >= _FILES_MOST or self._size >= _BYTES_MOST:
            self.flush()

    def flush(self) -> None:
        """Write what is held; a file that cannot be written to any more is let go of."""
        held, self._held, self._files, self._size = self._held, [], 0, 0
        if held and self._descriptor >= 0:
            try:
                body = joined(held).serialize().to_pybytes()
                append_frames(self._descriptor, [(_ROWS, body)])
            except OSError:
                self.close()

    def drop(self) -> None:
        """Remove the file: the notes have what it has."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.unlink(self._path)
            self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    @cached_property
    def _head(self) -> bytes:
        about = {"format": _FORMAT, "filesystem": self._filesystem}
        schema: bytes = self._schema.serialize().to_pybytes()
        return json.dumps(about).encode() + b"\n" + schema

    def _begin(self, descriptor: int) -> None:
        """Go on after the last sound frame, or begin anew where the head is another one."""
        end = 0
        for frame in frames(descriptor):
            if not end and (frame.tag, frame.body) != (_HEAD, self._head):
                break
            end = frame.end
        os.ftruncate(descriptor, end)
        if not end:
            append_frames(descriptor, [(_HEAD, self._head)])

    def _rows(self, descriptor: int) -> Iterator[pa.RecordBatch]:
        for number, frame in enumerate(frames(descriptor)):
            if number:
                yield pa.ipc.read_record_batch(pa.py_buffer(frame.body), self._schema)
            elif (frame.tag, frame.body) != (_HEAD, self._head):
                return


def _last_of_each(entries: pa.RecordBatch) -> list[pa.RecordBatch]:
    """Return the last row of each path."""
    rows = {path: row for row, path in enumerate(raw_paths(entries).to_pylist())}
    if len(rows) == entries.num_rows:
        return [entries]
    return [taken(entries, number_column(np.array(list(rows.values()), np.int64)))]
