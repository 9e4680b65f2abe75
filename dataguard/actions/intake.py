"""Reads a source for `register`: every entry with every digest, and what differs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dataguard.actions.observation import WINDOW_ROWS, Reading, observe, with_known_digests
from dataguard.core.align import align
from dataguard.core.columns import gather
from dataguard.core.expectation import judge_expectation
from dataguard.core.objectsigns import unpinned
from dataguard.core.permissions import WriterCount
from dataguard.core.verdicts import Difference, hazards, judge, merge_kind_changes
from dataguard.stores.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import pyarrow as pa

    from dataguard.actions.context import Context
    from dataguard.actions.registration import Source
    from dataguard.core.expectation import Expectation
    from dataguard.model.entry import Unreadable
    from dataguard.stores.draft import Draft

__all__ = ["Intake", "take_in"]


@dataclass(slots=True)
class Intake:
    """What reading brought to light beside the entries.

    `differences` are those from the reference, `broken` those from the expectation. `hashed` files
    were read now, `resumed` ones by attempts that were interrupted, since `began`.
    `by_checksum` counts those whose digest the server keeps, `unpinned` objects without a version.
    """

    differences: Spool[Difference] = field(default_factory=Spool)
    broken: list[Difference] = field(default_factory=list)
    hazards: list[Difference] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    writers: WriterCount = field(default_factory=WriterCount)
    hashed: int = 0
    bytes_read: int = 0
    resumed: int = 0
    resumed_bytes: int = 0
    began: datetime | None = None
    unlisted: int = 0
    by_checksum: int = 0
    unpinned: int = 0


def take_in(ctx: Context, source: Source, draft: Draft) -> Intake:
    """Read a source into a draft. What cannot be read is listed, and the draft then incomplete."""
    intake = Intake()
    entries = gather(_entries(ctx, source, intake), WINDOW_ROWS)
    if source.expect is not None:
        entries = _checked(entries, source.expect, intake)
    for batch in entries:
        intake.hazards += hazards(batch)
        intake.writers.add(batch)
        intake.unpinned += unpinned(batch)
        # Once something cannot be read there will be no version; the scan goes on to list all.
        if not intake.unreadable:
            draft.add(batch)
    return intake


def _entries(ctx: Context, source: Source, intake: Intake) -> Iterator[pa.RecordBatch]:
    """Yield observed entries with every digest, noting what differs from the reference."""
    if source.reference is None:
        for piece in source.store.scan(source.reads, read=True):
            _note(intake, piece.unreadable, piece.files_read, piece.bytes_read)
            intake.by_checksum += piece.by_checksum
            ctx.progress.advance(piece.entries.num_rows, piece.bytes_read)
            yield piece.entries
        return
    reading = Reading(full=source.sheet is None, baseline=source.sheet is not None, extras=True)
    differences: Spool[Difference] = Spool()
    for seen in observe(source.store, _expected(ctx, source), source.reads, reading, ctx.progress):
        _note(intake, seen.unreadable, seen.files_read, seen.bytes_read)
        intake.by_checksum += seen.by_checksum
        for one in judge(seen.window, baseline=source.sheet is not None, sheet=False):
            differences.add(one)
        yield with_known_digests(seen.window)
    intake.differences = Spool(merge_kind_changes(differences))


def _expected(ctx: Context, source: Source) -> Iterator[pa.RecordBatch]:
    if source.reference is None:
        return iter(())
    root, algorithm = source.reference.root, source.reference.algorithm
    if source.sheet is not None:
        return ctx.manifests.read_with_sheet(root, algorithm, source.sheet)
    return ctx.manifests.read(root, algorithm)


def _checked(
    entries: Iterator[pa.RecordBatch], expect: Expectation, intake: Intake
) -> Iterator[pa.RecordBatch]:
    # A BagIt manifest speaks of the payload below data/ only.
    paths = expect.rows.column("path").to_pylist()
    in_payload = all(path.startswith("data/") for path in paths)
    below = b"data/" if expect.exhaustive and in_payload else b""
    for window in align([expect.rows], entries):
        broken, unlisted = judge_expectation(window, expect, below=below)
        intake.broken += broken
        intake.unlisted += unlisted
        yield window.right


def _note(intake: Intake, unreadable: tuple[Unreadable, ...], files: int, size: int) -> None:
    intake.unreadable.extend(unreadable)
    intake.hashed += files
    intake.bytes_read += size
