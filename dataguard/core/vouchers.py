"""Rows that vouch for files an earlier attempt read: made, laid over one another, taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from dataguard.core.align import align
from dataguard.core.columns import (
    are_files,
    binary_column,
    fixed_column,
    flag_column,
    joined,
    letter_column,
    number_column,
    raw_paths,
)
from dataguard.core.kernels import all_of, both, but_not, kept, present, taken
from dataguard.core.merge import by_path
from dataguard.core.numeric import np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["as_expected", "overlaid", "vouchers", "withdrawn"]

_NO_SIZE = -1
"""The size that no file has: a row with it vouches for nothing."""


def vouchers(entries: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return the rows of observed entries that vouch for a file, with a journal's columns.

    These are regular files that were read, but not those that changed so shortly before that
    another change would not show.
    """
    if entries.num_rows:
        read = both(are_files(entries.column("kind")), present(entries.column("digest")))
        chosen = but_not(read, entries.column("racy"))
        if not all_of(chosen):
            entries = kept(entries, chosen)
    rest = [entries.column(name) for name in schema.names[1:]]
    return pa.RecordBatch.from_arrays([raw_paths(entries), *rest], schema=schema)


def withdrawn(paths: Sequence[bytes], schema: pa.Schema) -> pa.RecordBatch:
    """Return rows for paths in path order that vouch for nothing."""
    count = len(paths)
    made = {"path": binary_column(paths), "size": number_column(np.full(count, _NO_SIZE))}
    for field in list(schema)[2:]:
        made[field.name] = _zeros(count, field.type)
    return pa.RecordBatch.from_arrays([made[name] for name in schema.names], schema=schema)


def as_expected(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows of a journal as entries with their location sheet, to be compared with a scan."""
    count = rows.num_rows
    made = {
        "path": rows.column("path"),
        "path_raw": pa.nulls(count, pa.binary()),
        "kind": letter_column(b"f" * count),
        "racy": flag_column(bytes(count)),
    }
    made |= {name: rows.column(name) for name in rows.schema.names[1:]}
    return pa.RecordBatch.from_arrays(list(made.values()), names=list(made))


def overlaid(
    older: Iterable[pa.RecordBatch], newer: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of two streams in path order; where both have a path, the newer row."""
    for window in align(older, newer, checked=True):
        if not len(window.only_left):
            found = window.right
        elif not window.right.num_rows:
            found = window.left
        else:
            rest = taken(window.left, number_column(window.only_left))
            found = by_path(joined([rest, window.right]))
        if found.num_rows:
            yield found


def _zeros(count: int, kind: pa.DataType) -> pa.Array:
    if pa.types.is_fixed_size_binary(kind):
        return fixed_column([bytes(kind.byte_width)] * count, kind.byte_width)
    if pa.types.is_string(kind):
        return pa.nulls(count, kind)
    return pa.Array.from_buffers(
        kind, count, [None, pa.py_buffer(bytes(count * kind.bit_width // 8))]
    )
