"""What a journal's file holds that can be trusted."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from dataguard.core.baseline import is_usable
from dataguard.core.columns import raw_paths
from dataguard.core.identity import check_order
from dataguard.core.vouchers import as_expected
from dataguard.errors import CatalogDamagedError
from dataguard.model.dataclass import dataclass
from dataguard.stores.frames import frames
from dataguard.stores.journalhead import parse_head

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from dataguard.model.journal import JournalHead
    from dataguard.stores.frames import Frame

__all__ = ["ATTEMPT", "ROWS", "Run", "Survey", "rows_of"]

ATTEMPT, ROWS = b"HEAD", b"ROWS"

_RUNS_MAX = 64
"""Runs that are merged at a time; the rows of one more are not used, and cut off."""


class Run(NamedTuple):
    """A part of the file whose rows are in path order, often those of several attempts."""

    start: int
    stop: int


@dataclass(slots=True)
class Survey:
    """What is known of a file: its sound part ends at `end`.

    `started` is the first start of all attempts, that of `head` included, `last` the last path.
    """

    head: JournalHead
    schema: pa.Schema
    started: datetime
    end: int = 0
    last: bytes | None = None
    runs: list[Run] = field(default_factory=list)
    _begins: bool = False
    _previous: bytes | None = None

    def take(self, descriptor: int) -> None:
        """Look through a file up to the first frame that is not whole, in order and of this key.

        Raises:
            OSError: it cannot be read.
        """
        for frame in frames(descriptor):
            if not (self._attempt(frame) if frame.tag == ATTEMPT else self._rows(frame)):
                return
            self.end = frame.end

    def _attempt(self, frame: Frame) -> bool:
        head = parse_head(frame.body)
        if head is None or head.key != self.head.key:
            return False
        self.started = min(self.started, head.started)
        self._begins = True
        return is_usable(head.filesystem, self.head.filesystem)

    def _rows(self, frame: Frame) -> bool:
        paths = _paths(frame, self.schema)
        if paths is None or not (self._begins or self.runs):
            return False
        if self._begins and (self._previous is None or paths[0].as_py() <= self._previous):
            if len(self.runs) == _RUNS_MAX:
                return False
            self.runs.append(Run(self.end, self.end))
            self._previous = None
        try:
            self._previous = check_order(paths, self._previous)
        except CatalogDamagedError:
            return False
        self._begins = False
        self.runs[-1] = Run(self.runs[-1].start, frame.end)
        self.last = max(self._previous, self.last or b"")
        return True


def rows_of(descriptor: int, run: Run, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a run, as entries with their location sheet.

    Raises:
        OSError: the file cannot be read.
    """
    for frame in frames(descriptor, run.start, run.stop):
        if frame.tag == ROWS:
            yield _decoded(frame, schema)


def _paths(frame: Frame, schema: pa.Schema) -> pa.Array | None:
    if frame.tag != ROWS:
        return None
    try:
        rows = _decoded(frame, schema)
    except pa.ArrowException:
        return None
    return raw_paths(rows) if rows.num_rows else None


def _decoded(frame: Frame, schema: pa.Schema) -> pa.RecordBatch:
    return as_expected(pa.ipc.read_record_batch(pa.py_buffer(frame.body), schema))
