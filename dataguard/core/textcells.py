"""Hashes of text and bytes, and of text that means something else: what CSV gives back of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from dataguard.core.columns import number_column, numbers
from dataguard.core.numbercells import floats, instants, integers, truths
from dataguard.core.numeric import np

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["texts"]

_ONE = np.uint64(1)

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

_REPEATED = 0.5
"""Where a beginning of a column has fewer distinct values than this share, they are hashed once."""
_LOOKED_AT = 1_024


def texts(column: pa.Array) -> np.ndarray:
    """Hash text and bytes, those that read as something else as that; what is empty is 0."""
    column = _plain(column)
    if _repeats(column):
        encoded = column.dictionary_encode()
        values = np.append(texts(encoded.dictionary), np.uint64(0))
        at = pc.fill_null(encoded.indices.cast(pa.int64()), len(values) - 1)
        repeated: np.ndarray = values[numbers(at)]
        return repeated
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
                found[rows] = instants(text.take(number_column(rows)).cast(kind))
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
    (_INTEGER, lambda text: integers(text.cast(pa.int64()))),
    (_DECIMAL, lambda text: floats(text.cast(pa.float64()))),
    (_TIME, _times_of),
    (_TRUTH, lambda text: truths(text.cast(pa.bool_()))),
    (_WORD, lambda text: floats(text.cast(pa.float64()))),
)
