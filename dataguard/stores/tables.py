"""Tables in files, as Arrow batches: Parquet, Feather, ORC, CSV, TSV and JSON lines.

Formats are known by their content; text needs its first line to look like one. What was compressed
as a whole is unpacked while it is read.
"""

from __future__ import annotations

import csv
import io
import json
import os
from contextlib import closing
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import pyarrow as pa

from dataguard.core.archivelimits import Allowance, ArchiveLimits, LimitReachedError
from dataguard.stores.archiveforms import Metered, form_of, unpacked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["TableForm", "UnreadableTableError", "batches_of", "is_named_as_table", "table_form"]

_HEAD = 1 << 14
_ROWS_LOOKED_AT = 20
_ROWS = 1 << 16
_BLOCK = 8 << 20
"""Bytes of text that are parsed at once."""

_ROW_MAX = 256 << 20
"""A line that is longer is no row."""


class TableForm(Enum):
    """A format of tables."""

    PARQUET = "parquet"
    ARROW = "arrow"
    ARROW_STREAM = "arrow stream"
    ORC = "orc"
    CSV = "csv"
    TSV = "tsv"
    JSON_LINES = "json lines"

    @property
    def is_text(self) -> bool:
        """Whether a line is a row."""
        return self in (TableForm.CSV, TableForm.TSV, TableForm.JSON_LINES)


class UnreadableTableError(Exception):
    """What looked like a table cannot be read as one; the message says why."""


_MAGIC = (
    (b"PAR1", TableForm.PARQUET),
    (b"ARROW1", TableForm.ARROW),
    (b"\xff\xff\xff\xff", TableForm.ARROW_STREAM),
    (b"ORC", TableForm.ORC),
)


def table_form(descriptor: int) -> TableForm | None:
    """Return the format of an open file, looked at below its compression; None for no table.

    Raises:
        OSError: it cannot be read.
    """
    head = os.pread(descriptor, _HEAD, 0)
    found = form_of(head[:512])
    if found is None:
        return _form(head)
    if not found.is_compressed:
        return None
    try:
        with closing(unpacked(found, io.BytesIO(head))) as content:
            head = content.read(1 << 12)
    except (OSError, EOFError, ValueError, pa.ArrowException):
        return None
    form = _form(head)
    return form if form is not None and form.is_text else None


def _form(head: bytes) -> TableForm | None:
    for magic, form in _MAGIC:
        if head.startswith(magic):
            return form
    line, ended, _ = head.removeprefix(b"\xef\xbb\xbf").partition(b"\n")
    line = line.rstrip(b"\r")
    if b"\0" in head or not line or len(line) >= _HEAD - 1:
        return None
    if line.startswith(b"{"):
        return TableForm.JSON_LINES if _is_object(line, whole=bool(ended)) else None
    return _separated(head)


def _is_object(line: bytes, *, whole: bool) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        # A row may be longer than what was looked at.
        return not whole and line.startswith(b'{"')


def _separated(head: bytes) -> TableForm | None:
    """Return the format where the first rows have as many values as the header has names."""
    whole = head if len(head) < _HEAD else head.rpartition(b"\n")[0]
    lines = whole.decode("utf-8", "replace").splitlines(keepends=True)
    for separator, form in (("\t", TableForm.TSV), (",", TableForm.CSV)):
        if separator in lines[0]:
            rows = csv.reader(lines, delimiter=separator)
            try:
                counts = {len(row) for row in islice(rows, _ROWS_LOOKED_AT) if row}
            except csv.Error:
                continue
            if len(counts) == 1 and rows.line_num > 1:
                return form
    return None


_SUFFIXES = frozenset(
    {b"parquet", b"pq", b"parq", b"feather", b"arrow", b"ipc", b"arrows", b"orc"}
    | {b"csv", b"tsv", b"jsonl", b"ndjson"}
)
_PACKED = frozenset({b"gz", b"bz2", b"xz", b"zst"})


def is_named_as_table(path: bytes) -> bool:
    """Whether a file's name says that it is a table."""
    name = path.rpartition(b"/")[2].lower()
    stem, _, suffix = name.rpartition(b".")
    return (stem.rpartition(b".")[2] if suffix in _PACKED else suffix) in _SUFFIXES


def batches_of(
    descriptor: int, form: TableForm, *, expired: Callable[[], bool] = lambda: False
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of an open table; the descriptor stays open.

    Text that is compressed may be 100 times its size, or 1 GiB where that is more.

    Raises:
        UnreadableTableError: it is damaged, or has more than is looked at.
    """
    try:
        with open(os.dup(descriptor), "rb") as file:
            file.seek(0)
            yield from _READERS[form](file, expired)
    except (pa.ArrowException, OSError, EOFError, ValueError, OverflowError) as err:
        words = str(err).partition("\n")[0]
        raise UnreadableTableError(words or type(err).__name__) from err
    except LimitReachedError as err:
        raise UnreadableTableError(str(err)) from err


def _parquet(file: BinaryIO, expired: Callable[[], bool]) -> Iterator[pa.RecordBatch]:
    import pyarrow.parquet as pq  # noqa: PLC0415  each format brings a library

    with pq.ParquetFile(file) as table:
        yield from _while(table.iter_batches(_ROWS, use_threads=False), expired)


def _arrow(file: BinaryIO, expired: Callable[[], bool]) -> Iterator[pa.RecordBatch]:
    with pa.ipc.open_file(file) as table:
        pieces = (table.get_batch(i) for i in range(table.num_record_batches))
        yield from _while(pieces, expired)


def _arrow_stream(file: BinaryIO, expired: Callable[[], bool]) -> Iterator[pa.RecordBatch]:
    with pa.ipc.open_stream(file) as table:
        yield from _while(table, expired)


def _orc(file: BinaryIO, expired: Callable[[], bool]) -> Iterator[pa.RecordBatch]:
    try:
        from pyarrow import orc  # noqa: PLC0415  not in every build of Arrow
    except ImportError as err:
        raise UnreadableTableError("this build of Arrow does not read ORC") from err
    table = orc.ORCFile(file)
    yield from _while((table.read_stripe(i) for i in range(table.nstripes)), expired)


def _while(batches: Any, expired: Callable[[], bool]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        if expired():
            raise LimitReachedError("the time was over")
        yield batch


def _csv(file: BinaryIO, expired: Callable[[], bool]) -> Iterator[pa.RecordBatch]:
    return _delimited(file, ",", expired)


def _tsv(file: BinaryIO, expired: Callable[[], bool]) -> Iterator[pa.RecordBatch]:
    return _delimited(file, "\t", expired)


def _delimited(
    file: BinaryIO, delimiter: str, expired: Callable[[], bool]
) -> Iterator[pa.RecordBatch]:
    """Yield rows with every cell as bytes: what it means is for each cell to say."""
    from pyarrow import csv as arrow_csv  # noqa: PLC0415  as above

    content = _plain(file, expired)
    first = content.readline(_HEAD)
    header = first.removeprefix(b"\xef\xbb\xbf")
    parse = arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    as_read = arrow_csv.read_csv(pa.py_buffer(header.rstrip(b"\r\n") + b"\n"), parse_options=parse)
    names = as_read.schema.names
    reader = arrow_csv.open_csv(
        pa.PythonFile(content, mode="r"),
        read_options=arrow_csv.ReadOptions(
            column_names=names, block_size=_BLOCK, use_threads=False
        ),
        parse_options=parse,
        convert_options=arrow_csv.ConvertOptions(
            check_utf8=False, column_types=dict.fromkeys(names, pa.binary())
        ),
    )
    yield from reader


def _json_lines(file: BinaryIO, expired: Callable[[], bool]) -> Iterator[pa.RecordBatch]:
    """Yield rows, parsed in pieces: each may have other fields, and other types."""
    from pyarrow import json as arrow_json  # noqa: PLC0415  as above

    content, rest = _plain(file, expired), b""
    while piece := content.read(_BLOCK):
        lines, ended, rest = (rest + piece).rpartition(b"\n")
        if len(rest) > _ROW_MAX:
            raise UnreadableTableError("a line of more than 256 MiB")
        if lines.strip():
            yield from _parsed(arrow_json, lines + ended)
    if rest.strip():
        yield from _parsed(arrow_json, rest)


def _parsed(arrow_json: Any, lines: bytes) -> Iterator[pa.RecordBatch]:
    options = arrow_json.ReadOptions(use_threads=False, block_size=len(lines) + 1)
    table = arrow_json.read_json(pa.py_buffer(lines), read_options=options)
    yield from table.to_batches(_ROWS)


def _plain(file: BinaryIO, expired: Callable[[], bool]) -> BinaryIO:
    """Return the content of a file below its compression, with an end to what it may hold."""
    form = form_of(file.read(512))
    file.seek(0)
    return _metered(file, file if form is None else unpacked(form, file), expired)


class _Stream(io.RawIOBase):
    """What is read through a meter, as Arrow reads files."""

    def __init__(self, stream: Metered) -> None:
        super().__init__()
        self._stream = stream

    def readable(self) -> bool:
        """Return that it is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, less at the end."""
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _metered(file: BinaryIO, content: BinaryIO, expired: Callable[[], bool]) -> BinaryIO:
    allowance = Allowance(ArchiveLimits(), os.fstat(file.fileno()).st_size, expired)
    return cast("BinaryIO", io.BufferedReader(_Stream(Metered(content, allowance)), _BLOCK))


_READERS = {
    TableForm.PARQUET: _parquet,
    TableForm.ARROW: _arrow,
    TableForm.ARROW_STREAM: _arrow_stream,
    TableForm.ORC: _orc,
    TableForm.CSV: _csv,
    TableForm.TSV: _tsv,
    TableForm.JSON_LINES: _json_lines,
}
