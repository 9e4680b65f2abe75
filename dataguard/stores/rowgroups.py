"""The row groups of a manifest or sheet, read one at a time and checked for damage."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from dataguard.core.kernels import as_type
from dataguard.core.paths import display
from dataguard.errors import CatalogDamagedError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["opened", "row_group", "row_groups"]

_DAMAGE = (pa.ArrowException, OSError, ValueError)
"""What pyarrow raises on damaged files; ValueError for names and texts that are not UTF-8."""


@contextlib.contextmanager
def opened(path: str) -> Iterator[pq.ParquetFile]:
    """Open a manifest or sheet.

    Raises:
        CatalogDamagedError: the file is missing, or no Parquet file.
    """
    try:
        footer = pq.read_metadata(path)
        file = pq.ParquetFile(
            path,
            metadata=footer,
            pre_buffer=False,  # it would hold whole files in memory
            page_checksum_verification=True,
            # a tenth of the cost of making a text for each row
            read_dictionary=[name for name in footer.schema.names if name == "kind"],
        )
    except FileNotFoundError as err:
        raise CatalogDamagedError(
            f"{path} is missing", hint="restore it from a backup of the home"
        ) from err
    except _DAMAGE as err:
        raise CatalogDamagedError(f"{path} is damaged: {err}") from err
    with file:
        yield file


def row_groups(
    path: str, schema: pa.Schema, form: str, *, rows: int | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the row groups of a file as batches of exactly this schema.

    With `rows` the batches are of so many rows, wherever the row groups end: what is then read
    ahead and compared stays in the cache of a core.

    Raises:
        CatalogDamagedError: the file is missing, damaged, of another form, or lacks a column; it
            has a null where there is none, or an unknown kind of entry.
    """
    with opened(path) as file:
        _check_form(file, path, schema, form)
        pieces = _pieces(file, schema.names, rows)
        while True:
            try:
                piece = next(pieces, None)
                if piece is None:
                    return
                batch = _batch(piece, schema)
            except _DAMAGE as err:
                raise CatalogDamagedError(f"{path} is damaged: {err}") from err
            del piece
            if batch.num_rows:
                yield batch
            del batch  # its memory is wanted for the next


def row_group(path: str, schema: pa.Schema, form: str, number: int) -> pa.RecordBatch:
    """Return one row group of a file as a batch of exactly this schema.

    Raises:
        CatalogDamagedError: as `row_groups`.
    """
    with opened(path) as file:
        _check_form(file, path, schema, form)
        try:
            piece = file.read_row_group(number, columns=schema.names, use_threads=False)
            return _batch(piece, schema)
        except _DAMAGE as err:
            raise CatalogDamagedError(f"{path} is damaged: {err}") from err


def _batch(piece: pa.Table | pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    columns = [_checked(piece.column(field.name), field) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _pieces(
    file: pq.ParquetFile, names: list[str], rows: int | None
) -> Iterator[pa.Table | pa.RecordBatch]:
    if rows is not None:
        yield from file.iter_batches(rows, columns=names, use_threads=False)
        return
    for number in range(file.num_row_groups):
        yield file.read_row_group(number, columns=names, use_threads=False)


def _check_form(file: pq.ParquetFile, path: str, schema: pa.Schema, form: str) -> None:
    named = (file.metadata.metadata or {}).get(b"dataguard.format", b"")
    if named != form.encode():
        raise CatalogDamagedError(
            f"{path} is no {form} but {display(named)}",
            hint="if a newer dataguard wrote it, upgrade this one",
        )
    missing = set(schema.names) - set(file.metadata.schema.names)
    if missing:
        raise CatalogDamagedError(f"{path} lacks the column {min(missing)}")


def _checked(values: pa.Array | pa.ChunkedArray, field: pa.Field) -> pa.Array:
    """Return a column of the wanted type; ValueError says what is wrong with it.

    Arrow makes offsets and lengths while it decodes, so of the values themselves only texts can
    be invalid: they are looked at where they were written as text.
    """
    column = _whole(values)
    if column.null_count and not field.nullable:
        raise ValueError(f"a null in the column {field.name}")
    if isinstance(column, pa.DictionaryArray):
        return _letters(column)
    if column.type != field.type:
        as_bytes = pa.types.is_string(column.type) and pa.types.is_binary(field.type)
        column = column.view(field.type) if as_bytes else column.cast(field.type)
    if pa.types.is_string(field.type):
        column.validate(full=True)
    return column


def _whole(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(values, pa.Array):
        return values
    return values.chunk(0) if values.num_chunks == 1 else values.combine_chunks()


def _letters(kinds: pa.DictionaryArray) -> pa.Array:
    """Return encoded kinds as text, each of them a known one."""
    known = kinds.dictionary.to_pylist()
    if not all(kind in ("f", "l", "d") for kind in known):
        raise ValueError("an unknown kind of entry")
    try:
        kinds.validate(full=True)
    except pa.ArrowInvalid as err:
        raise ValueError("a kind of entry that the column does not define") from err
    return as_type(kinds, pa.string())
