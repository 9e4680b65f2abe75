"""What workers found, as pieces of a scan: columns of Arrow in path order."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import pyarrow as pa

from dataguard.core.columns import (
    array_column,
    binary_column,
    flag_column,
    joined,
    joined_column,
    joined_fixed_column,
    letter_column,
    raw_paths,
    text_paths,
)
from dataguard.core.merge import by_path
from dataguard.core.runs import rows_through
from dataguard.model.schema import observed_schema
from dataguard.stores.interface import Scanned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.model.digest import DigestPlan
    from dataguard.stores.localunit import Columns, Unit

__all__ = ["cut", "in_steps", "merged", "no_rows", "scanned"]

_STEP_BYTES = 16 << 20
"""What was handed back is given away in pieces of at least so much content."""


def scanned(unit: Unit, columns: Columns, plan: DigestPlan) -> Scanned:
    """Return what a worker found in a unit as a piece."""
    unreadable = sorted((*unit.unreadable, *columns.unreadable), key=lambda item: item.path)
    entries = _batch(columns, plan)
    return Scanned(
        entries,
        tuple(unreadable),
        columns.files_read,
        columns.bytes_read,
        columns.passed,
        columns.through,
    )


def _batch(columns: Columns, plan: DigestPlan) -> pa.RecordBatch:
    if not columns.lengths:
        return no_rows(plan)
    schema = observed_schema(plan.main, plan.also)
    text, raw = text_paths(joined_column(columns.paths, columns.lengths))
    count = len(text)
    stats = {
        name: array_column(values, schema.field(name).type)
        for name, values in columns.stats.items()
    }
    digests = [
        joined_fixed_column(values, algorithm.digest_bytes, columns.digested)
        for values, algorithm in zip(columns.digests, plan.algorithms, strict=True)
    ]
    made = {
        "path": text,
        "path_raw": raw,
        "kind": letter_column(columns.kinds),
        "digest": digests[0],
        "link_target": _targets(columns.links, count),
        "racy": flag_column(columns.racy),
        **stats,
        **{
            str(algorithm): digest for algorithm, digest in zip(plan.also, digests[1:], strict=True)
        },
    }
    return pa.RecordBatch.from_arrays([made[name] for name in schema.names], schema=schema)


@cache
def no_rows(plan: DigestPlan) -> pa.RecordBatch:
    """Return entries of a scan, none: most units of a sifted one have no others."""
    schema = observed_schema(plan.main, plan.also)
    columns = [pa.nulls(0, field.type) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _targets(links: dict[int, bytes], count: int) -> pa.Array:
    if not links:
        return pa.nulls(count, pa.binary())
    return binary_column([links.get(row) for row in range(count)])


def cut(piece: Scanned, path: bytes) -> tuple[Scanned, Scanned]:
    """Part a piece before a path; what else it says goes with the first part."""
    position = rows_through(raw_paths(piece.entries), path)
    first = replace(piece, entries=piece.entries.slice(0, position), through=b"")
    return first, Scanned(piece.entries.slice(position), (), 0, 0, through=piece.through)


def in_steps(piece: Scanned, rest: Iterator[Scanned]) -> Iterator[Scanned]:
    """Put what was handed back into a piece, and give away what is done before all of it is."""
    held: list[Scanned] = []
    for one in rest:
        held.append(one)
        if one.entries.num_rows and sum(found.bytes_read for found in held) >= _STEP_BYTES:
            paths = raw_paths(one.entries)
            before, piece = cut(piece, paths[len(paths) - 1].as_py())
            yield merged([before, *held])
            held = []
    yield merged([piece, *held]) if held else piece


def merged(pieces: list[Scanned]) -> Scanned:
    """Join pieces of one unit, in path order again."""
    return Scanned(
        by_path(joined([piece.entries for piece in pieces])),
        tuple(item for piece in pieces for item in piece.unreadable),
        sum(piece.files_read for piece in pieces),
        sum(piece.bytes_read for piece in pieces),
        sum(piece.passed for piece in pieces),
        max(piece.through for piece in pieces),
    )
