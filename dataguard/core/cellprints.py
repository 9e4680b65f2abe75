"""Hashes of cells that do not depend on how a table is stored: 64 bits for each, 0 for nothing.

Law: cells that mean the same have the same hash, whatever the type of their column, its encoding
and its chunks. The same are

* integers, integral floats and decimals, booleans (1 and 0), and text that reads as one of these:
  what was read of CSV has no types;
* numbers that are equal as 32-bit floats, unless they are integral: CSV made of a 32-bit float
  column gives back what rounds to it. -0 is 0;
* times of one instant, dates their midnight, and ISO 8601 text; time zones are only a way to show;
* text and bytes of one content, dictionaries decoded;
* lists of the same cells in one order, structs of the same fields in any order;
* nothing: null, NaN and empty text, as CSV has one form for all of them, and an empty list or
  struct.

The values are kept in files: whoever changes them changes `FORMAT`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from dataguard.core.columns import number_column, numbers

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FORMAT", "UnhashableColumnError", "cell_hashes", "mixed", "name_hash"]

FORMAT = 1

_NUMBER, _FLOAT, _HUGE, _INSTANT, _SPAN = (
    np.uint64(one)
    for one in (
        0x9E3779B97F4A7C15,
        0xC2B2AE3D27D4EB4F,
        0x165667B19E3779F9,
        0x27D4EB2F165667C5,
        0x85EBCA77C2B2AE63,
    )
)
_ONE = np.uint64(1)

_EXACT = 2.0**63
_NUMBER_MAX = 40
"""Text that is longer is no number and no time."""

_WORD_MAX = 9
_INTEGER = r"^-?[0-9]{1,18}$"
_DECIMAL = r"^-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$"
_WORD = r"^-?(?i:nan|inf|infinity)$"
_TRUTH = r"^(?i:true|false)$"
_TIME = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?(Z|[-+][0-9]{2}:?[0-9]{2})?)?$"
)
_ZONE = r"(Z|[-+][0-9]{2}:?[0-9]{2})$"

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_DAY_S = 86_400

_REPEATED = 0.5
"""Where a beginning of a column has fewer distinct values than this share, they are hashed once."""
_LOOKED_AT = 1_024


class UnhashableColumnError(Exception):
    """A column has a type that has no cells to compare."""


def mixed(values: np.ndarray) -> np.ndarray:
    """Return 64-bit words in which every bit depends on every bit (the end of MurmurHash3)."""
    found: np.ndarray = values ^ (values >> np.uint64(33))
    found *= np.uint64(0xFF51AFD7ED558CCD)
    found ^= found >> np.uint64(33)
    found *= np.uint64(0xC4CEB9FE1A85EC53)
    found ^= found >> np.uint64(33)
    return found


def name_hash(name: str) -> np.uint64:
    """Return what stands for a column's or field's name."""
    return np.uint64(xxhash.xxh3_64_intdigest(name.encode("utf-8", "surrogateescape")))


def cell_hashes(column: pa.Array) -> np.ndarray:
    """Return the hash of each cell.

    Raises:
        UnhashableColumnError: the type of the column has none.
    """
    kind = column.type
    if isinstance(column, pa.ExtensionArray):
        return cell_hashes(column.storage)
    if pa.types.is_dictionary(kind):
        return _by_value(column)
    if pa.types.is_run_end_encoded(kind):
        return cell_hashes(pc.run_end_decode(column))
    for is_kind, hashes in _KINDS:
        if is_kind(kind):
            found = hashes(column)
            if column.null_count:
                found[numbers(pc.is_null(column))] = 0
            return found
    raise UnhashableColumnError(f"no cells of type {kind} can be compared")


def _by_value(column: pa.Array) -> np.ndarray:
    """Hash each value of a dictionary once."""
    values = np.append(cell_hashes(column.dictionary), np.uint64(0))
    at = column.indices.cast(pa.int64())
    if at.null_count:
        at = pc.fill_null(at, number_column(np.array([len(values) - 1]))[0])
    found: np.ndarray = values[numbers(at)]
    return found


def _nothing(column: pa.Array) -> np.ndarray:
    return np.zeros(len(column), np.uint64)


def _filled(column: pa.Array, kind: pa.DataType) -> np.ndarray:
    """Return the values of a column as numpy has them, anything for null."""
    column = column if column.type == kind else column.cast(kind, safe=False)
    data = column.buffers()[1]
    width = kind.to_pandas_dtype()
    if data is None:
        return np.zeros(len(column), width)
    return np.frombuffer(data, width)[column.offset : column.offset + len(column)]


def _integers(column: pa.Array) -> np.ndarray:
    if column.type == pa.uint64():
        values = _filled(column, pa.uint64())
        found = _of_integers(values.view(np.int64))
        large = values >= np.uint64(1 << 63)
        if large.any():
            found[large] = _of_floats(values[large].astype(np.float64))
        return found
    return _of_integers(_filled(column, pa.int64()))


def _truths(column: pa.Array) -> np.ndarray:
    return _of_integers(_filled(column.cast(pa.int8()), pa.int64()))


def _floats(column: pa.Array) -> np.ndarray:
    return _of_floats(_filled(column, pa.float64()))


def _of_integers(values: np.ndarray) -> np.ndarray:
    return mixed(values.view(np.uint64) ^ _NUMBER) | _ONE


def _of_floats(values: np.ndarray) -> np.ndarray:
    """Hash floats: integral ones as integers, others rounded to 32 bits."""
    with np.errstate(all="ignore"):
        short = values.astype(np.float32)
        lost = ~np.isfinite(short) | ((np.abs(short) < np.finfo(np.float32).tiny) & (values != 0))
        exact = np.abs(values) < _EXACT
        rounded = np.where(exact & (values == np.trunc(values)), values, short.astype(np.float64))
        rounded = np.where(lost, values, rounded)
        integral = exact & (rounded == np.trunc(rounded)) & (np.abs(rounded) < _EXACT)
        whole = np.where(integral, rounded, 0).astype(np.int64)
    found = _of_integers(whole)
    rest = np.flatnonzero(~integral)
    if len(rest):
        salt = np.where(exact[rest], _FLOAT, _HUGE)
        found[rest] = mixed(rounded[rest].view(np.uint64) ^ salt) | _ONE
        found[np.isnan(values)] = 0
    return found


def _decimals(column: pa.Array) -> np.ndarray:
    return _of_floats(_filled(column.cast(pa.float64()), pa.float64()))


def _instants(column: pa.Array) -> np.ndarray:
    per_second = _PER_SECOND[column.type.unit]
    return _of_time(_filled(column.view(pa.int64()), pa.int64()), per_second, _INSTANT)


def _days(column: pa.Array) -> np.ndarray:
    if pa.types.is_date64(column.type):
        return _of_time(_filled(column.view(pa.int64()), pa.int64()), 1_000, _INSTANT)
    days = _filled(column.view(pa.int32()), pa.int32()).astype(np.int64)
    return _of_time(days * _DAY_S, 1, _INSTANT)


def _spans(column: pa.Array) -> np.ndarray:
    """Hash durations and times of a day."""
    width = pa.int32() if column.type.bit_width == _WIDTH_32 else pa.int64()
    values = _filled(column.view(width), width).astype(np.int64)
    return _of_time(values, _PER_SECOND[column.type.unit], _SPAN)


_WIDTH_32 = 32


def _of_time(values: np.ndarray, per_second: int, salt: np.uint64) -> np.ndarray:
    seconds = values // per_second
    beyond = (values - seconds * per_second) * (10**9 // per_second)
    first = mixed(seconds.view(np.uint64) ^ salt)
    return mixed(first + beyond.view(np.uint64)) | _ONE


def _texts(column: pa.Array) -> np.ndarray:
    """Hash text and bytes, those that read as something else as that."""
    column = _plain(column)
    if _repeats(column):
        return _by_value(column.dictionary_encode())
    data, offsets = _content(column)
    lengths = np.diff(offsets)
    ends = offsets.tolist()
    hashed = map(xxhash.xxh3_64_intdigest, map(data.__getitem__, map(slice, ends[:-1], ends[1:])))
    found = np.fromiter(hashed, np.uint64, len(column)) | _ONE
    found[lengths == 0] = 0
    for rows, hashes in _meant(column, data, offsets[:-1], lengths):
        found[rows] = hashes
    return found


def _plain(column: pa.Array) -> pa.Array:
    """Return text or bytes of any kind as a column of large binary."""
    kind = column.type
    if pa.types.is_large_binary(kind) or pa.types.is_large_string(kind):
        return column.view(pa.large_binary())
    if pa.types.is_string(kind):
        column = column.view(pa.binary())
    elif not pa.types.is_binary(kind):
        column = column.cast(pa.binary())
    return column.cast(pa.large_binary())


def _repeats(column: pa.Array) -> bool:
    head = column.slice(0, _LOOKED_AT)
    return len(column) > len(head) and len(head.unique()) < _REPEATED * len(head)


def _content(column: pa.Array) -> tuple[bytes, np.ndarray]:
    """Return the bytes of all values, joined, and where each begins and the last one ends."""
    _, ends, data = column.buffers()
    if not len(column) or ends is None:
        return b"", np.zeros(len(column) + 1, np.int64)
    offsets = np.frombuffer(ends, np.int64)[column.offset : column.offset + len(column) + 1]
    first = offsets[0]
    content = b"" if data is None else bytes(memoryview(data)[first : offsets[-1]])
    return content, offsets - first


def _meant(
    column: pa.Array, data: bytes, starts: np.ndarray, lengths: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the rows of text that means a number, a truth or a time, with their hashes."""
    letters = np.frombuffer(data + b"\0", np.uint8)
    first = letters[np.minimum(starts, len(data))]
    digits = ((first >= ord("0")) & (first <= ord("9"))) | np.isin(first, _SIGNS)
    words = np.isin(first, _LETTERS) & (lengths <= _WORD_MAX)
    rows = np.flatnonzero((lengths > 0) & ((digits & (lengths <= _NUMBER_MAX)) | words))
    found = []
    for pattern, hashes in _PATTERNS:
        if not len(rows):
            break
        text = column.take(number_column(rows)).cast(pa.binary()).view(pa.string())
        fits = numbers(pc.fill_null(pc.match_substring_regex(text, pattern), pa.scalar(False)))
        if fits.any():
            chosen = text.take(number_column(np.flatnonzero(fits)))
            parsed = hashes(chosen)
            if parsed is not None:
                found.append((rows[fits], parsed))
                rows = rows[~fits]
    return found


_SIGNS = np.frombuffer(b"-.", np.uint8)
_LETTERS = np.frombuffer(b"tTfFnNiI-", np.uint8)


def _times_of(text: pa.Array) -> np.ndarray | None:
    """Hash ISO 8601 text; None where one of it is no time that there is."""
    zoned = numbers(pc.match_substring_regex(text, _ZONE)) & (
        numbers(pc.binary_length(text).cast(pa.int64())) > _DATE_LENGTH
    )
    found = np.zeros(len(text), np.uint64)
    try:
        for rows, kind in (
            (np.flatnonzero(zoned), pa.timestamp("ns", "UTC")),
            (np.flatnonzero(~zoned), pa.timestamp("ns")),
        ):
            if len(rows):
                found[rows] = _instants(text.take(number_column(rows)).cast(kind))
    except pa.ArrowInvalid:
        return _one_by_one(text)
    return found


_DATE_LENGTH = 10


def _one_by_one(text: pa.Array) -> np.ndarray | None:
    """Hash text that looks like times, what is none as text: rare, and slow."""
    if len(text) == 1:
        content = text.view(pa.binary())[0].as_py()
        return np.array([xxhash.xxh3_64_intdigest(content)], np.uint64) | _ONE
    half = len(text) // 2
    parts = [_times_of(part) for part in (text.slice(0, half), text.slice(half))]
    return np.concatenate([part for part in parts if part is not None])


_PATTERNS: tuple[tuple[str, Callable[[pa.Array], np.ndarray | None]], ...] = (
    (_INTEGER, lambda text: _integers(text.cast(pa.int64()))),
    (_DECIMAL, lambda text: _floats(text.cast(pa.float64()))),
    (_TIME, _times_of),
    (_TRUTH, lambda text: _truths(text.cast(pa.bool_()))),
    (_WORD, lambda text: _floats(text.cast(pa.float64()))),
)


def _lists(column: pa.Array) -> np.ndarray:
    """Hash lists by their cells and the places of these; an empty one is nothing."""
    if pa.types.is_fixed_size_list(column.type):
        width = column.type.list_size
        starts = np.arange(len(column), dtype=np.int64) * width
        cells = cell_hashes(column.values.slice(column.offset * width, len(column) * width))
        return _of_lists(cells, starts, np.full(len(column), width, np.int64))
    ends = column.offsets.cast(pa.int64())
    offsets = numbers(ends)
    values = column.values.slice(int(offsets[0]), int(offsets[-1] - offsets[0]))
    return _of_lists(cell_hashes(values), offsets[:-1] - offsets[0], np.diff(offsets))


def _of_lists(cells: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    places = np.arange(len(cells), dtype=np.int64) - np.repeat(starts, lengths)
    placed = mixed(cells + mixed(places.view(np.uint64) + _SPAN))
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(placed, dtype=np.uint64)])
    found = mixed(sums[starts + lengths] - sums[starts]) | _ONE
    found[lengths == 0] = 0
    return found


def _structs(column: pa.Array) -> np.ndarray:
    """Hash structs by the names of their fields; one with nothing in it is nothing."""
    total = np.zeros(len(column), np.uint64)
    for one, values in zip(column.type, column.flatten(), strict=True):
        cells = cell_hashes(values)
        total += np.where(cells == 0, cells, mixed(cells ^ name_hash(one.name)))
    return np.where(total == 0, total, mixed(total) | _ONE)


def _is_text(kind: pa.DataType) -> bool:
    is_one: Any = (
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_binary,
        pa.types.is_large_binary,
        pa.types.is_fixed_size_binary,
        pa.types.is_string_view,
        pa.types.is_binary_view,
    )
    return any(test(kind) for test in is_one)


def _is_list(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
        or pa.types.is_map(kind)
    )


_KINDS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array], np.ndarray]], ...] = (
    (pa.types.is_null, _nothing),
    (pa.types.is_boolean, _truths),
    (pa.types.is_integer, _integers),
    (pa.types.is_floating, _floats),
    (pa.types.is_decimal, _decimals),
    (_is_text, _texts),
    (pa.types.is_timestamp, _instants),
    (pa.types.is_date, _days),
    (pa.types.is_time, _spans),
    (pa.types.is_duration, _spans),
    (_is_list, _lists),
    (pa.types.is_struct, _structs),
)
