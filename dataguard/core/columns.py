"""Columns of entries: raw paths from their text form, buffers, row selection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["fixed_bytes", "mask_of", "numbers", "raw_paths", "regroup", "text_paths", "values_of"]


def raw_paths(batch: pa.RecordBatch) -> pa.Array:
    """Return the paths as bytes: `path_raw` where it is set, else the text."""
    text = batch.column("path").cast(pa.binary())
    raw = batch.column("path_raw")
    return text if raw.null_count == len(raw) else pc.coalesce(raw, text)


def text_paths(raw: pa.Array) -> tuple[pa.Array, pa.Array]:
    r"""Return `path` and `path_raw` for raw paths; bytes that are not UTF-8 become `\xNN`."""
    try:
        return raw.cast(pa.string()), pa.nulls(len(raw), pa.binary())
    except pa.ArrowInvalid:
        values = raw.to_pylist()
    texts = [value.decode("utf-8", "backslashreplace") for value in values]
    kept = [None if _is_utf8(value) else value for value in values]
    return pa.array(texts, pa.string()), pa.array(kept, pa.binary())


def values_of(column: pa.Array) -> tuple[memoryview, np.ndarray]:
    """Return the concatenated bytes of a binary column without nulls, and each length."""
    column = column.cast(pa.large_binary()) if isinstance(column, pa.StringArray) else column
    width = np.int64 if isinstance(column, pa.LargeBinaryArray) else np.int32
    _, offsets_buffer, data = column.buffers()
    offsets = np.frombuffer(offsets_buffer, width)[column.offset : column.offset + len(column) + 1]
    content = memoryview(data)[offsets[0] : offsets[-1]] if data is not None else memoryview(b"")
    return content, np.diff(offsets)


def fixed_bytes(column: pa.Array) -> memoryview:
    """Return the concatenated values of a fixed-size binary column without nulls."""
    width = column.type.byte_width
    start = column.offset * width
    data = column.buffers()[1]
    return (
        memoryview(b"") if data is None else memoryview(data)[start : start + len(column) * width]
    )


def numbers(column: pa.Array) -> np.ndarray:
    """Return an integer or boolean column without nulls as a numpy array."""
    values: np.ndarray = column.to_numpy(zero_copy_only=False)
    return values


def mask_of(length: int, rows: np.ndarray) -> np.ndarray:
    """Return a boolean array that is true at `rows`."""
    mask = np.zeros(length, dtype=bool)
    mask[rows] = True
    return mask


def regroup(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """Cut the same rows into batches of exactly `rows`, the last one shorter."""
    pending: list[pa.RecordBatch] = []
    held = 0
    for batch in batches:
        rest = batch
        while held + rest.num_rows >= rows:
            cut = rows - held
            yield _joined([*pending, rest.slice(0, cut)])
            rest, pending, held = rest.slice(cut), [], 0
        if rest.num_rows:
            pending.append(rest)
            held += rest.num_rows
    if pending:
        yield _joined(pending)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(batches) == 1:
        return batches[0]
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0]


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
