"""Arrow's functions on columns, by name.

`pyarrow.compute` makes three hundred Python functions when it is imported, which costs a command
as much as hashing three thousand files; methods like `take` and `filter` of arrays import it too.
Each of those functions does what is done here. What takes options has them from `pyarrow.compute`,
where it is used: few commands come there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

try:
    from pyarrow._compute import CastOptions, SetLookupOptions, call_function
except ImportError:  # a release of Arrow that keeps it in its public place only
    from pyarrow.compute import CastOptions, SetLookupOptions, call_function

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "all_of",
    "any_of",
    "as_type",
    "both",
    "but_not",
    "coalesced",
    "counted",
    "equal",
    "greater",
    "is_ascending",
    "kept",
    "lengths_of",
    "nulls_of",
    "order_of",
    "places_in",
    "present",
    "rows_where",
    "summed",
    "taken",
    "unequal",
]

T = TypeVar("T", bound=Any)
"""An array, or a batch: what is taken from or filtered stays what it is."""


def taken(values: T, rows: pa.Array) -> T:
    """Return these rows, in their order."""
    return call_function("take", [values, rows])  # type: ignore[no-any-return]


def kept(values: T, flags: pa.Array) -> T:
    """Return the rows where a flag is set."""
    return call_function("filter", [values, flags])  # type: ignore[no-any-return]


def coalesced(values: pa.Array, others: pa.Array) -> pa.Array:
    """Return values, with those of others where they are null."""
    return call_function("coalesce", [values, others])


def equal(left: pa.Array, right: pa.Array | pa.Scalar) -> pa.Array:
    """Return for each value whether it is another's, or one value; null where one of them is."""
    return call_function("equal", [left, right])


def any_of(flags: pa.Array) -> bool:
    """Whether one of these is set; nulls are not."""
    return call_function("any", [flags]).as_py() is True


def all_of(flags: pa.Array) -> bool:
    """Whether each of these is set; nulls are not."""
    return not flags.null_count and call_function("all", [flags]).as_py() is not False


def both(left: pa.Array, right: pa.Array) -> pa.Array:
    """Return for each row whether both flags are set."""
    return call_function("and", [left, right])


def but_not(left: pa.Array, right: pa.Array) -> pa.Array:
    """Return for each row whether the first flag is set and the second is not."""
    return call_function("and_not", [left, right])


def as_type(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return values as another type that holds each of them."""
    return call_function("cast", [values], CastOptions(kind))


def lengths_of(values: pa.Array) -> pa.Array:
    """Return the bytes in each value of a binary or text column, as numbers of 32 bits."""
    return call_function("binary_length", [values])


def summed(values: pa.Array) -> int:
    """Return the sum of numbers."""
    return call_function("sum", [values]).as_py() or 0


def counted(values: pa.Array) -> dict[Any, int]:
    """Return each value with how often it occurs."""
    found = call_function("value_counts", [values])
    return dict(
        zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True)
    )


def rows_where(flags: pa.Array) -> list[int]:
    """Return the rows where a flag is set; nulls are not."""
    return call_function("indices_nonzero", [flags]).to_pylist()  # type: ignore[no-any-return]


def greater(values: pa.Array, bound: pa.Scalar) -> pa.Array:
    """Return for each number whether it is greater; null where it is null."""
    return call_function("greater", [values, bound])


def unequal(left: pa.Array, right: pa.Array) -> pa.Array:
    """Return for each pair whether it differs; null where one of them is."""
    return call_function("not_equal", [left, right])


def nulls_of(values: pa.Array) -> pa.Array:
    """Return for each value whether it is null."""
    return call_function("is_null", [values])


def present(values: pa.Array) -> pa.Array:
    """Return for each value whether it is there, and not null."""
    return call_function("is_valid", [values])


def places_in(values: pa.Array, among: pa.Array) -> pa.Array:
    """Return for each value its first row among others; null where it is not there."""
    return call_function("index_in", [values], SetLookupOptions(value_set=among))


def order_of(values: pa.Array) -> pa.Array:
    """Return the rows in ascending order of their values."""
    return call_function("array_sort_indices", [values])


def is_ascending(values: pa.Array) -> bool:
    """Whether each value, none of them null, is greater than the one before it."""
    pairs = [values.slice(0, max(len(values) - 1, 0)), values.slice(1)]
    return call_function("all", [call_function("less", pairs)]).as_py() is not False
