"""Columns of entries: raw paths from their text form, buffers, row selection."""

from __future__ import annotations

import functools
import sys
from array import array
from itertools import accumulate
from typing import TYPE_CHECKING, cast

import pyarrow as pa

from dataguard.core.kernels import as_type, coalesced, equal, lengths_of, present
from dataguard.core.numeric import np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = [
    "are_files",
    "array_column",
    "ascending",
    "binary_column",
    "content_of",
    "distinct",
    "fixed_bytes",
    "fixed_column",
    "flag_column",
    "gather",
    "joined",
    "joined_column",
    "joined_fixed_column",
    "kind_mask",
    "letter_column",
    "little_endian",
    "mask_of",
    "number_column",
    "numbers",
    "raw_paths",
    "shortened",
    "text_paths",
    "truths",
    "values_of",
    "words",
]

_ASCENDING_MAX = 65_537
"""Enough for the rows of a row group, and for their offsets."""


def raw_paths(batch: pa.RecordBatch) -> pa.Array:
    """Return the paths as bytes: `path_raw` where it is set, else the text."""
    text, raw = batch.column("path"), batch.column("path_raw")
    text = text if pa.types.is_binary(text.type) else text.view(pa.binary())
    return text if raw.null_count == len(raw) else coalesced(raw, text)


def text_paths(raw: pa.Array) -> tuple[pa.Array, pa.Array]:
    r"""Return `path` and `path_raw` for raw paths; bytes that are not UTF-8 become `\xNN`."""
    text = raw.view(pa.string())
    try:
        text.validate(full=True)
    except pa.ArrowInvalid:
        values = raw.to_pylist()
    else:
        return text, pa.nulls(len(raw), pa.binary())
    texts = [value.decode("utf-8", "backslashreplace").encode() for value in values]
    kept = [None if _is_utf8(value) else value for value in values]
    return binary_column(texts).view(pa.string()), binary_column(kept)


# The makers of columns go by buffers: `pyarrow.array` imports pandas where that is installed, which
# costs more than hashing ten thousand files.


def binary_column(values: Sequence[bytes | None]) -> pa.Array:
    """Return values of any length as a binary column; None becomes null."""
    valid, filled = _without_nulls(values, b"")
    offsets = array("i", accumulate(map(len, filled), initial=0))
    buffers = [valid, pa.py_buffer(offsets), pa.py_buffer(b"".join(filled))]
    return pa.Array.from_buffers(pa.binary(), len(filled), buffers)


def fixed_column(values: Sequence[bytes | None], width: int) -> pa.Array:
    """Return values of one length as a fixed-size binary column; None becomes null."""
    valid, filled = _without_nulls(values, bytes(width))
    data = pa.py_buffer(b"".join(filled))
    return pa.Array.from_buffers(pa.binary(width), len(filled), [valid, data])


def _without_nulls(
    values: Sequence[bytes | None], instead: bytes
) -> tuple[pa.Buffer | None, Sequence[bytes]]:
    """Return which values are there, as Arrow has it, and the values with others for None."""
    if None not in values:
        return None, cast("Sequence[bytes]", values)
    known = flag_column(bytes(value is not None for value in values))
    filled = [instead if value is None else value for value in values]
    return known.buffers()[1], filled


def joined_column(data: bytes, lengths: array[int]) -> pa.Array:
    """Return values of any length, given joined, as a binary column."""
    offsets = array("i", accumulate(lengths, initial=0))
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.binary(), len(lengths), buffers)


def joined_fixed_column(data: bytes, width: int, known: bytes) -> pa.Array:
    """Return values of one length, given joined, as a column; null where `known` has a 0."""
    valid = flag_column(known).buffers()[1] if 0 in known else None
    return pa.Array.from_buffers(pa.binary(width), len(known), [valid, pa.py_buffer(data)])


def array_column(values: array[int], kind: pa.DataType) -> pa.Array:
    """Return integers of a column's width as that column."""
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])


def number_column(values: np.ndarray | array[int]) -> pa.Array:
    """Return 64-bit integers as a column."""
    numbers_64 = np.asarray(values, dtype=np.int64)
    return pa.Array.from_buffers(pa.int64(), len(numbers_64), [None, pa.py_buffer(numbers_64)])


def flag_column(values: bytes | bytearray) -> pa.Array:
    """Return bytes that are 0 or 1 as a boolean column."""
    if 1 not in values:  # as most are; Arrow's first cast costs as much as hashing a thousand files
        none = pa.py_buffer(bytes(len(values) // 8 + 1))
        return pa.Array.from_buffers(pa.bool_(), len(values), [None, none])
    flags = pa.Array.from_buffers(pa.uint8(), len(values), [None, pa.py_buffer(values)])
    return as_type(flags, pa.bool_())


def content_of(column: pa.Array) -> memoryview:
    """Return the concatenated bytes of a binary or text column without nulls."""
    if not len(column):  # then there may be no buffer of offsets
        return memoryview(b"")
    _, offsets_buffer, data = column.buffers()
    flat = memoryview(offsets_buffer).cast("B")
    offsets = flat.cast("q") if isinstance(column, pa.LargeBinaryArray) else flat.cast("i")
    start, stop = offsets[column.offset], offsets[column.offset + len(column)]
    return memoryview(data)[start:stop] if data is not None else memoryview(b"")


def values_of(column: pa.Array) -> tuple[memoryview, np.ndarray]:
    """Return the concatenated bytes of a binary or text column without nulls, and each length."""
    return content_of(column), numbers(lengths_of(column))


def shortened(column: pa.Array, skip: int) -> pa.Array:
    """Return a binary column without the first `skip` bytes of each value, which all have them."""
    if not skip or not len(column):
        return column
    # Arrow's own `binary_slice` without an end fails for values that it makes much shorter.
    data, lengths = values_of(column)
    kept = np.ones(len(data), dtype=bool)
    starts = np.cumsum(lengths) - lengths
    kept[(starts[:, np.newaxis] + np.arange(skip)).ravel()] = False
    offsets = np.zeros(len(column) + 1, np.int32)
    np.cumsum(lengths - skip, out=offsets[1:])
    left = np.frombuffer(data, np.uint8)[kept]
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(left)]
    return pa.Array.from_buffers(pa.binary(), len(column), buffers)


def fixed_bytes(column: pa.Array) -> memoryview:
    """Return the concatenated values of a fixed-size binary column without nulls."""
    width = column.type.byte_width
    start = column.offset * width
    data = column.buffers()[1]
    return (
        memoryview(b"") if data is None else memoryview(data)[start : start + len(column) * width]
    )


def little_endian(column: pa.Array) -> memoryview:
    """Return an integer column without nulls as its little-endian bytes."""
    width = column.type.bit_width // 8
    data = memoryview(column.buffers()[1] or b"").cast("B")
    found = data[column.offset * width : (column.offset + len(column)) * width]
    if sys.byteorder == "little":
        return found
    swapped = array("i" if width == array("i").itemsize else "q", found)
    swapped.byteswap()
    return memoryview(swapped).cast("B")


def numbers(column: pa.Array) -> np.ndarray:
    """Return an integer or boolean column without nulls as a numpy array."""
    data = column.buffers()[1]
    start, stop = column.offset, column.offset + len(column)
    if pa.types.is_boolean(column.type):
        bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
        return bits[start:stop].astype(bool)
    return np.frombuffer(data, str(column.type))[start:stop]


def words(column: pa.Array) -> np.ndarray | None:
    """Return a column without nulls as rows of 64-bit words; None where it does not come to that.

    That is so for 64-bit integers and for fixed-size binary of a multiple of 8 bytes. Equal rows
    are equal values.
    """
    if column.type == pa.int64():
        return numbers(column)[:, np.newaxis]
    if not pa.types.is_fixed_size_binary(column.type) or column.type.byte_width % 8:
        return None
    shape = len(column), column.type.byte_width // 8
    return np.frombuffer(fixed_bytes(column), np.uint64).reshape(shape)


def truths(column: pa.Array, *, null: bool) -> np.ndarray:
    """Return a boolean column as a numpy array, nulls counted as `null`."""
    known = numbers(present(column))
    found = numbers(column)
    result: np.ndarray = found | ~known if null else found & known
    return result


def are_files(kinds: pa.Array) -> pa.Array:
    """Return for each kind of an entry whether it is that of a regular file."""
    return equal(kinds, letter_column(b"f")[0])


def kind_mask(entries: pa.RecordBatch, kind: str) -> np.ndarray:
    """Return which entries are of a kind: `f`, `l` or `d`."""
    letters = content_of(entries.column("kind"))
    mask: np.ndarray = np.frombuffer(letters, np.uint8) == ord(kind)
    return mask


def distinct(values: np.ndarray) -> np.ndarray:
    """Return the values that occur, ascending; `numpy.unique` loads masked arrays for that."""
    ordered = np.sort(values)
    new = np.ones(len(ordered), dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    return ordered[new]


def mask_of(length: int, rows: np.ndarray) -> np.ndarray:
    """Return a boolean array that is true at `rows`."""
    mask = np.zeros(length, dtype=bool)
    mask[rows] = True
    return mask


def letter_column(letters: np.ndarray | bytes) -> pa.Array:
    """Return ASCII codes as a column of texts of one character."""
    codes = letters if isinstance(letters, bytes) else np.ascontiguousarray(letters, np.uint8)
    buffers = [None, _one_each(len(codes)), pa.py_buffer(codes)]
    return pa.Array.from_buffers(pa.string(), len(codes), buffers)


def _one_each(count: int) -> pa.Buffer:
    """Return the offsets of so many values of one byte."""
    if count < _ASCENDING_MAX:
        return _offsets(count.bit_length())
    return pa.py_buffer(array("i", range(count + 1)))


@functools.cache
def _offsets(bits: int) -> pa.Buffer:
    """Return what is enough for a count of so many bits."""
    return pa.py_buffer(array("i", range((1 << bits) + 1)))


def ascending(start: int, stop: int, width: str = "i8") -> np.ndarray:
    """Return the numbers from `start` to before `stop`; not to be written to.

    `width` is a numpy type: `i4` or `i8`.
    """
    numbers_from_0 = _ascending(width)
    if stop <= len(numbers_from_0):
        return numbers_from_0[start:stop]
    return np.arange(start, stop, dtype=width)


@functools.cache
def _ascending(width: str) -> np.ndarray:
    # One for all: what numbers the rows of a window would else be made anew for each.
    found = np.arange(_ASCENDING_MAX, dtype=width)
    found.flags.writeable = False
    return found


def gather(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """Join small batches until they have at least `rows`; larger ones are not cut."""
    pending: list[pa.RecordBatch] = []
    held = 0
    for batch in batches:
        if batch.num_rows:
            pending.append(batch)
            held += batch.num_rows
        if held >= rows:
            yield joined(pending)
            pending, held = [], 0
    if pending:
        yield joined(pending)


def joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Return the rows of batches with one schema, at least one batch, as one."""
    if len(batches) == 1:
        return batches[0]
    found = pa.Table.from_batches(batches).combine_chunks().to_batches()
    return found[0] if found else batches[0]


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
