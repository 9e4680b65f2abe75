"""Chunk sheets: where the chunks of a version's large files lie, beside its other sheets.

Which of a root's sheets it is, and how files were cut, is in the sheet's own metadata: nothing in
the catalog names it, since it can be made again.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from dataguard.core.chunkmatch import ChunkColumns, joined_chunks
from dataguard.core.chunks import CHUNKING
from dataguard.core.columns import fixed_bytes, number_column, numbers
from dataguard.core.numeric import np
from dataguard.errors import CatalogDamagedError, StoreUnreachableError
from dataguard.model.schema import ROWS_PER_GROUP, SHEET_FORMAT
from dataguard.stores.rowgroups import opened, row_groups
from dataguard.stores.sheetfile import publish_sheet
from dataguard.stores.shelf import PARTIAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.model.digest import RootDigest
    from dataguard.stores.manifests import ManifestStore

__all__ = ["chunk_sheets", "current_sheet", "publish_chunks", "read_chunks"]

_SCHEMA = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("length", pa.int64(), nullable=False),
        pa.field("digest", pa.binary(8), nullable=False),
    ]
)
_OPTIONS = {
    "store_schema": False,
    "use_dictionary": False,
    "write_statistics": False,
    "write_page_checksum": True,
    "compression": {"row": "ZSTD", "offset": "ZSTD", "length": "ZSTD", "digest": "NONE"},
    "column_encoding": dict.fromkeys(("row", "offset", "length"), "DELTA_BINARY_PACKED"),
}
_CUT = f"{CHUNKING} xxh3-64"


def chunk_sheets(manifests: ManifestStore, root: RootDigest) -> tuple[str, ...]:
    """Return the keys of the chunk sheets of a root, however they were cut."""
    return tuple(_key(path) for path, cut in _found(manifests, root) if cut)


def current_sheet(manifests: ManifestStore, root: RootDigest) -> str | None:
    """Return the key of the chunk sheet of a root that is cut as files are now, if any."""
    return next((_key(path) for path, cut in _found(manifests, root) if cut == _CUT), None)


def publish_chunks(home: str, root: RootDigest, chunks: ChunkColumns) -> str:
    """Write the chunks of files in the order of the manifest, then of the file; returns the key.

    Raises:
        StoreUnreachableError: the disk is full or fails, or may not be written.
    """
    try:
        return publish_sheet(home, root, lambda path: _write(path, root, chunks))
    except OSError as err:
        raise StoreUnreachableError(
            f"cannot write a chunk sheet in {home}: {err.strerror or err}",
            hint="the version is registered; make room or mend the disk, then run it again",
        ) from err


def read_chunks(manifests: ManifestStore, root: RootDigest) -> ChunkColumns | None:
    """Return what a sheet holds that is cut as files are now; None where there is none.

    Raises:
        CatalogDamagedError: the sheet is damaged.
    """
    key = current_sheet(manifests, root)
    if key is None:
        return None
    manifests.verify_sheet(root, key)
    path = manifests.sheet_path(root, key)
    return joined_chunks(map(_columns, row_groups(path, _SCHEMA, SHEET_FORMAT)))


def _found(manifests: ManifestStore, root: RootDigest) -> Iterator[tuple[str, str]]:
    """Yield path of each sheet of a root, and how it was cut: empty for one of another kind."""
    for path in manifests.sheets(root):
        if os.path.basename(path).startswith(PARTIAL):
            continue
        try:
            with opened(path) as file:
                facts = file.metadata.metadata or {}
        except CatalogDamagedError:  # which kind it was is not known: `catalog check` tells it
            continue
        yield path, facts.get(b"dataguard.chunks", b"").decode("ascii", "replace")


def _key(path: str) -> str:
    return os.path.basename(path).removesuffix(".parquet")


def _write(path: str, root: RootDigest, chunks: ChunkColumns) -> None:
    facts = {"dataguard.sheet": "chunks", "dataguard.root": str(root), "dataguard.chunks": _CUT}
    with pq.ParquetWriter(path, _SCHEMA, **_OPTIONS) as writer:
        for at in range(0, len(chunks.digests), ROWS_PER_GROUP):
            writer.write_batch(_batch(chunks, slice(at, at + ROWS_PER_GROUP)))
        writer.add_key_value_metadata({"dataguard.format": SHEET_FORMAT, **facts})


def _batch(chunks: ChunkColumns, part: slice) -> pa.RecordBatch:
    digests = np.ascontiguousarray(chunks.digests[part], ">u8")
    buffers = [None, pa.py_buffer(digests.tobytes())]
    column = pa.FixedSizeBinaryArray.from_buffers(pa.binary(8), len(digests), buffers)
    places = (chunks.rows[part], chunks.offsets[part], chunks.lengths[part])
    return pa.RecordBatch.from_arrays([*map(number_column, places), column], schema=_SCHEMA)


def _columns(batch: pa.RecordBatch) -> ChunkColumns:
    digests = np.frombuffer(fixed_bytes(batch.column("digest")), ">u8").astype(np.uint64)
    places = (numbers(batch.column(name)) for name in ("row", "offset", "length"))
    return ChunkColumns(digests, *places)
