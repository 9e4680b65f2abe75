"""What was told of files that a scan looked into, remembered until they or the question change.

One file for each user, place and kind of look, readable for that user alone: `magic, xxh3-128 of
what follows`, then a stream of Arrow batches with the columns of a roll (`stores/fileroll.py`) and
`told`, null where nothing was. Derived: a file that is missing or damaged costs reading.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from typing import TYPE_CHECKING

import pyarrow as pa
import xxhash

from dataguard.core.columns import binary_column
from dataguard.stores.fileroll import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["LookNotes"]

_MAGIC = b"dataguard-look-1"
_QUESTION = b"dataguard.question"
_TOLD = pa.field("told", pa.binary())


class LookNotes:
    """The notes of one kind of look; `question` names all else that an answer depends on."""

    def __init__(self, home: str, uid: int, place: bytes, kind: str, question: bytes) -> None:
        """Read nothing yet."""
        self._directory = os.path.join(home, "state", "copies")
        name = f"{uid}-{hashlib.sha256(place).hexdigest()[:24]}.{kind}"
        self._path = os.path.join(self._directory, name)
        self._question = question

    def read(self) -> list[pa.RecordBatch]:
        """Return what was noted for the same question, in path order."""
        try:
            with open(self._path, "rb") as file:
                content = file.read()
            body = memoryview(content)[len(_MAGIC) + 16 :]
            head = _MAGIC + xxhash.xxh3_128_digest(body)
            if content[: len(head)] != head:
                return []
            reader = pa.ipc.open_stream(pa.py_buffer(body))
            if (reader.schema.metadata or {}).get(_QUESTION) != self._question:
                return []
            if reader.schema.names != [*COLUMNS, _TOLD.name]:
                return []
            return list(reader)
        except (OSError, pa.ArrowException):
            return []  # they are made again

    def write(
        self, rolls: Iterable[pa.RecordBatch], told: Iterable[Sequence[bytes | None]]
    ) -> None:
        """Put notes in place of the old ones, where the home can be written.

        `rolls` are rows of a roll, `told` what is said of each row.
        """
        sink = pa.BufferOutputStream()
        writer: pa.ipc.RecordBatchStreamWriter | None = None
        for rows, said in zip(rolls, told, strict=True):
            schema = pa.schema([*rows.schema, _TOLD], {_QUESTION: self._question})
            if writer is None:
                options = pa.ipc.IpcWriteOptions(compression="zstd", use_threads=False)
                writer = pa.ipc.new_stream(sink, schema, options=options)
            columns = [*rows.columns, binary_column(said)]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
        if writer is not None:
            writer.close()
        with contextlib.suppress(OSError):  # the next scan looks again
            self._put(sink.getvalue())

    def _put(self, body: pa.Buffer) -> None:
        os.makedirs(self._directory, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=".partial-", dir=self._directory)
        try:
            with open(descriptor, "wb") as file:
                file.write(_MAGIC + xxhash.xxh3_128_digest(body))
                file.write(body)
            os.rename(temporary, self._path)
        except BaseException:
            os.unlink(temporary)
            raise
