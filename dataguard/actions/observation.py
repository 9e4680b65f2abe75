"""Compares a place with a manifest, reading no more than the level asks for."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

import pyarrow as pa

from dataguard.core.align import Window, align, match
from dataguard.core.columns import (
    flag_column,
    gather,
    joined,
    kind_mask,
    mask_of,
    number_column,
    numbers,
    raw_paths,
)
from dataguard.core.kernels import as_type, coalesced, kept, nulls_of, taken
from dataguard.core.merge import by_path
from dataguard.core.numeric import np
from dataguard.core.verdicts import all_vouched, suspects
from dataguard.model.dataclass import dataclass
from dataguard.model.schema import OBJECT_SHEET, observed_schema
from dataguard.model.span import WHOLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dataguard.model.digest import DigestPlan
    from dataguard.model.entry import Unreadable
    from dataguard.model.ports import Progress
    from dataguard.model.span import Span
    from dataguard.stores.interface import Scanned, Store

__all__ = ["WINDOW_ROWS", "Observation", "Reading", "observe", "with_known_digests"]

WINDOW_ROWS = 8_192
"""What is compared at a time: a scan comes in pieces of a few hundred rows."""


_TOLD = ("checksum", "checksum_type")
"""Columns of objects that a listing leaves out."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read: every file (`full`), else suspects, and with `extras` what is new.

    `baseline` tells whether the expected stream has a location sheet that may be compared here.
    """

    full: bool
    baseline: bool
    extras: bool = False


@dataclass(frozen=True, slots=True)
class Observation:
    """One window, with the digests of all files that were read, and what could not be read."""

    window: Window
    unreadable: tuple[Unreadable, ...]
    files_read: int
    bytes_read: int
    by_checksum: int = 0


def observe(
    store: Store,
    expected: Iterable[pa.RecordBatch],
    plan: DigestPlan,
    reading: Reading,
    progress: Progress,
    *,
    span: Span = WHOLE,
) -> Iterator[Observation]:
    """Yield the windows of expected and observed entries in path order; memory is constant.

    Only what lies in the span is observed; nothing else may be expected.

    What is unreadable comes no later than the window in which it leaves a gap.
    """
    notes = _Notes(progress)
    pieces = store.scan(plan, read=reading.full, span=span)
    scanned = gather(notes.entries(pieces), WINDOW_ROWS)
    for window in align(expected, scanned):
        rows = None if reading.full else _rows_to_read(window, reading)
        if rows is None or not len(rows):
            yield notes.observation(window)
        else:
            chosen = taken(window.right, number_column(rows))
            fresh = list(notes.entries(store.read([chosen], plan)))
            yield notes.observation(_with_fresh(window, rows, fresh))
    if notes.unreadable:
        yield notes.observation(_nothing(plan))


def with_known_digests(window: Window) -> pa.RecordBatch:
    """Return what was observed, with the digests of unread files from what was expected."""
    entries = window.right
    if not entries.column("digest").null_count:
        return entries
    if window.is_paired:
        return _filled(window)
    unread = numbers(nulls_of(entries.column("digest")))[window.right_rows]
    for name in _known_columns(window):
        observed = entries.column(name)
        # Rows of the observed digests first, then those of the expected ones.
        rows = np.arange(len(observed))
        rows[window.right_rows[unread]] = window.left_rows[unread] + len(observed)
        known = _typed(window.left.column(name), observed.type)
        both = pa.concat_arrays([observed, known])
        position = entries.schema.get_field_index(name)
        entries = entries.set_column(position, name, taken(both, number_column(rows)))
    return entries


def _filled(window: Window) -> pa.RecordBatch:
    """Return what was observed, with digests from the same rows of what was expected."""
    entries = window.right
    for name in _known_columns(window):
        observed = entries.column(name)
        column = coalesced(observed, _typed(window.left.column(name), observed.type))
        entries = entries.set_column(entries.schema.get_field_index(name), name, column)
    return entries


def _typed(column: pa.Array, kind: pa.DataType) -> pa.Array:
    return column if column.type == kind else as_type(column, kind)


def _known_columns(window: Window) -> list[str]:
    known = window.left.schema.names
    names = _digest_columns(window.right.schema)
    return [name for name in names if name not in OBJECT_SHEET.names or name in known]


def _digest_columns(schema: pa.Schema) -> list[str]:
    """Return the names of the digests: the main one's, and those after the stat fields.

    Of an object that was not read, what only reading it tells is known from then as well.
    """
    names = schema.names
    told = [name for name in _TOLD if name in names]
    return ["digest", *told, *names[names.index("nlink") + 1 :]]


def _nothing(plan: DigestPlan) -> Window:
    empty = pa.RecordBatch.from_pylist([], schema=observed_schema(plan.main, plan.also))
    return match(empty, raw_paths(empty), empty, raw_paths(empty))


def _rows_to_read(window: Window, reading: Reading) -> np.ndarray | None:
    if reading.baseline and all_vouched(window):
        return None
    rows = suspects(window, baseline=reading.baseline)
    if not reading.extras:
        return rows
    files = kind_mask(window.right, "f")
    extra = window.only_right[files[window.only_right]]
    return np.sort(np.concatenate([rows, extra]))


def _with_fresh(window: Window, rows: np.ndarray, fresh: list[pa.RecordBatch]) -> Window:
    """Put what was read now in place of the rows of the metadata scan."""
    others = kept(window.right, flag_column(bytes(~mask_of(window.right.num_rows, rows))))
    right = by_path(joined([others, *fresh]))
    return match(window.left, window.left_paths, right, raw_paths(right))


@dataclass(slots=True)
class _Notes:
    """What passes beside the entries: what could not be read, and how much was."""

    progress: Progress
    unreadable: list[Unreadable] = field(default_factory=list)
    files_read: int = 0
    bytes_read: int = 0
    by_checksum: int = 0

    def entries(self, pieces: Iterator[Scanned]) -> Iterator[pa.RecordBatch]:
        for piece in pieces:
            self.unreadable.extend(piece.unreadable)
            self.files_read += piece.files_read
            self.bytes_read += piece.bytes_read
            self.by_checksum += piece.by_checksum
            self.progress.advance(piece.entries.num_rows, piece.bytes_read)
            yield piece.entries

    def observation(self, window: Window) -> Observation:
        result = Observation(
            window,
            tuple(self.unreadable),
            self.files_read,
            self.bytes_read,
            self.by_checksum,
        )
        self.unreadable.clear()
        self.files_read = self.bytes_read = self.by_checksum = 0
        return result
