"""Cuts a version's large files into chunks, by which parts of them are found elsewhere."""

from __future__ import annotations

from collections import deque
from dataclasses import field
from typing import TYPE_CHECKING

from dataguard.core.chunkmatch import ChunkColumns, index_of, joined_chunks
from dataguard.core.chunks import LEAST_FILE
from dataguard.core.columns import kind_mask, number_column, numbers, raw_paths
from dataguard.core.numeric import np
from dataguard.errors import CatalogDamagedError
from dataguard.model.dataclass import dataclass
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.model.results.register import ChunkSheet
from dataguard.stores.chunkindexes import ChunkIndexes
from dataguard.stores.chunksheets import current_sheet, publish_chunks, read_chunks
from dataguard.stores.cutting import CutUnit, cut_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.actions.context import Context
    from dataguard.core.chunkmatch import ChunkIndex
    from dataguard.model.dataset import Version
    from dataguard.stores.cutting import CutFile

__all__ = ["chunk_index", "chunk_sheet"]


def chunk_sheet(ctx: Context, version: Version, place: str) -> ChunkSheet:
    """Return the chunk sheet of a version, made by reading its large files at a place.

    One that is there stays. None is made where a file cannot be read or is not the version's.

    Raises:
        CatalogDamagedError: the manifest is missing or damaged.
        StoreUnreachableError: the sheet cannot be written.
    """
    known = _kept(ctx, version)
    if known is not None:
        return _told(known, current_sheet(ctx.manifests, version.root))
    ctx.progress.start(f"cutting {version.reference}")
    try:
        cut = _cut(ctx, version, place)
    finally:
        ctx.progress.finish()
    if cut.missed:
        return _told(cut.chunks, None, tuple(cut.missed))
    home = ctx.settings.home.value
    key = publish_chunks(home, version.root, cut.chunks)
    ChunkIndexes(home).keep(version.root, index_of(cut.chunks))
    return _told(cut.chunks, key)


def chunk_index(ctx: Context, version: Version, place: str) -> tuple[ChunkIndex, int]:
    """Return the index of a version's chunks, and how many files of it could not be cut.

    It is the one that is kept, or made from the chunk sheet, or by reading at a place; kept then
    where nothing was missed.

    Raises:
        CatalogDamagedError: the manifest or the sheet is damaged.
    """
    indexes = ChunkIndexes(ctx.settings.home.value)
    found = indexes.load(version.root)
    if found is not None:
        return found, 0
    known = read_chunks(ctx.manifests, version.root)
    cut = _Cut(known) if known is not None else _cut(ctx, version, place)
    index = index_of(cut.chunks)
    if cut.missed:
        return index, len(cut.missed)
    indexes.keep(version.root, index)
    return indexes.load(version.root) or index, 0


@dataclass(slots=True)
class _Cut:
    """The chunks of a version, and its files that could not be cut."""

    chunks: ChunkColumns
    missed: list[Unreadable] = field(default_factory=list)


def _kept(ctx: Context, version: Version) -> ChunkColumns | None:
    try:
        return read_chunks(ctx.manifests, version.root)
    except CatalogDamagedError:  # the one that is made now takes its place: it has the same name
        return None


def _told(chunks: ChunkColumns, key: str | None, missed: tuple[Unreadable, ...] = ()) -> ChunkSheet:
    files, size = len(np.unique(chunks.rows)), int(chunks.lengths.sum())
    return ChunkSheet(key, files, size, len(chunks.digests), missed)


def _cut(ctx: Context, version: Version, place: str) -> _Cut:
    missed: list[Unreadable] = []
    chunks = joined_chunks(_chunks(ctx, version, place, missed))
    return _Cut(chunks, missed)


def _chunks(
    ctx: Context, version: Version, place: str, missed: list[Unreadable]
) -> Iterator[ChunkColumns]:
    """Yield the chunks of each large file that is what the version says."""
    drawn: deque[tuple[int, bytes]] = deque()

    def units() -> Iterator[CutUnit]:
        for row, path, digest in _large(ctx, version):
            drawn.append((row, digest))
            yield CutUnit(place, path, version.algorithm)

    for unit, found in ctx.engine.map(cut_file, units()):
        row, digest = drawn.popleft()
        if isinstance(found, Unreadable):
            missed.append(found)
        elif found.digest != digest:
            missed.append(Unreadable(unit.path, Obstacle.UNSTABLE, "it has other content"))
        else:
            ctx.progress.advance(1, found.state[0])
            yield _with_row(found, row)


def _large(ctx: Context, version: Version) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield row, path and digest of the files that are large enough."""
    first = 0
    for batch in ctx.manifests.read(version.root, version.algorithm):
        mask = kind_mask(batch, "f") & (numbers(batch.column("size")) >= LEAST_FILE)
        rows = np.flatnonzero(mask)
        chosen = batch.take(number_column(rows))
        columns = (raw_paths(chosen).to_pylist(), chosen.column("digest").to_pylist())
        yield from zip((rows + first).tolist(), *columns, strict=True)
        first += batch.num_rows


def _with_row(found: CutFile, row: int) -> ChunkColumns:
    chunks = found.chunks
    rows = np.full(len(chunks.digests), row, np.int64)
    return ChunkColumns(chunks.digests, rows, chunks.offsets, chunks.lengths)
