"""Cuts a manifest into ranges of paths that cost about the same to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.core.columns import numbers, raw_paths
from dataguard.core.numeric import np
from dataguard.core.runs import rows_through
from dataguard.model.span import WHOLE, Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

__all__ = ["cut", "rows_in"]

_FULL_ENTRY_COST = 64 << 10
"""Opening a small file costs about as much as reading this many bytes of a large one."""


def cut(
    batches: Iterable[pa.RecordBatch], count: int, *, entries: int, size: int, full: bool
) -> tuple[Span, ...]:
    """Return `count` spans that follow one another, begin at the first path and end open.

    They depend on the manifest and the arguments alone. `entries` and `size` are the totals of
    the version; only where `full`, bytes cost something. Spans may be empty where entries are
    few. Reads all batches, to the end.
    """
    per_entry = _FULL_ENTRY_COST if full else 1
    total = entries * per_entry + (size if full else 0)
    goals = [-(-total * number // count) for number in range(1, count)]
    ends: list[bytes] = []
    done, last = 0, b""
    for batch in batches:
        if not batch.num_rows:
            continue
        costs = np.full(batch.num_rows, per_entry, dtype=np.int64)
        if full:
            costs += numbers(batch.column("size"))
        reached = np.cumsum(costs) + done
        paths = raw_paths(batch)
        while len(ends) < len(goals) and goals[len(ends)] <= reached[-1]:
            ends.append(paths[int(np.searchsorted(reached, goals[len(ends)]))].as_py())
        done, last = int(reached[-1]), paths[batch.num_rows - 1].as_py()
    ends += [last] * (len(goals) - len(ends))
    return tuple(Span(*ends_of) for ends_of in zip([b"", *ends], [*ends, None], strict=True))


def rows_in(batches: Iterable[pa.RecordBatch], span: Span) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a stream in path order that lie in a span; stops reading at its end."""
    if span == WHOLE:
        yield from batches
        return
    for batch in batches:
        paths = raw_paths(batch)
        start = rows_through(paths, span.after)
        stop = len(paths) if span.through is None else rows_through(paths, span.through)
        if start < stop:
            yield batch.slice(start, stop - start)
        if stop < len(paths):
            return
