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

import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from dataguard.core.columns import numbers
from dataguard.core.numbercells import (
    SPAN,
    days,
    decimals,
    floats,
    instants,
    integers,
    mixed,
    spans,
    truths,
)
from dataguard.core.numeric import np
from dataguard.core.textcells import texts

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FORMAT", "UnhashableColumnError", "cell_hashes", "name_hash"]

FORMAT = 1

_ONE = np.uint64(1)


class UnhashableColumnError(Exception):
    """A column has a type that has no cells to compare."""


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
        at = pc.fill_null(at, len(values) - 1)
    found: np.ndarray = values[numbers(at)]
    return found


def _nothing(column: pa.Array) -> np.ndarray:
    return np.zeros(len(column), np.uint64)


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
    placed: np.ndarray = mixed(cells + mixed(places.view(np.uint64) + SPAN))
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
    (pa.types.is_boolean, truths),
    (pa.types.is_integer, integers),
    (pa.types.is_floating, floats),
    (pa.types.is_decimal, decimals),
    (_is_text, texts),
    (pa.types.is_timestamp, instants),
    (pa.types.is_date, days),
    (pa.types.is_time, spans),
    (pa.types.is_duration, spans),
    (_is_list, _lists),
    (pa.types.is_struct, _structs),
)
