"""Sheets of directory modes: what a seal takes write permission from, remembered before it does."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from array import array
from itertools import islice
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from dataguard.core.columns import array_column, joined_column
from dataguard.errors import StoreUnreachableError
from dataguard.model.schema import SHEET_FORMAT
from dataguard.model.seal import DirectoryMode
from dataguard.stores.rowgroups import opened, row_groups
from dataguard.stores.shelf import PARTIAL, Shelf, file_sha256

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dataguard.model.digest import RootDigest

__all__ = ["publish_modes", "read_modes"]

_FIRST = pa.schema([pa.field("path", pa.binary()), pa.field("mode", pa.int32())])
"""What every such sheet has."""

_SCHEMA = _FIRST.append(pa.field("inode", pa.int64()))
_ROWS = 65_536


def publish_modes(home: str, root: RootDigest, rows: Iterable[DirectoryMode]) -> str:
    """Write a sheet of directories with their modes beside the others of a root; returns its key.

    It is durable before it is visible, and named by its content.

    Raises:
        StoreUnreachableError: the disk is full or fails, or may not be written.
    """
    shelf = Shelf(home)
    folder = os.path.dirname(shelf.sheet_path(root, ""))
    draft = os.path.join(folder, f"{PARTIAL}{secrets.token_hex(8)}")
    try:
        os.makedirs(folder, exist_ok=True)
        with _locked(draft) as descriptor:
            _write(draft, root, rows)
            os.fchmod(descriptor, 0o444)
            os.fsync(descriptor)
            key = file_sha256(draft)
            os.rename(draft, shelf.sheet_path(root, key))
            _sync(folder)
    except OSError as err:
        raise StoreUnreachableError(
            f"cannot write {draft}: {err.strerror or err}",
            hint="nothing was sealed; make room or mend the disk, then run it again",
        ) from err
    return key


def read_modes(home: str, root: RootDigest, key: str) -> Iterator[DirectoryMode]:
    """Yield the directories with their modes, in the order in which they were written.

    An inode is None in a sheet that has no column for it.

    Raises:
        CatalogDamagedError: the sheet is missing or damaged.
    """
    path = Shelf(home).sheet_path(root, key)
    with opened(path) as file:
        known = "inode" in file.metadata.schema.names
    for batch in row_groups(path, _SCHEMA if known else _FIRST, SHEET_FORMAT):
        inodes = batch.column("inode").to_pylist() if known else [None] * batch.num_rows
        paths, modes = (batch.column(name).to_pylist() for name in _FIRST.names)
        yield from map(DirectoryMode, paths, modes, inodes)


def _write(path: str, root: RootDigest, rows: Iterable[DirectoryMode]) -> None:
    options = {"store_schema": False, "compression": "ZSTD", "write_page_checksum": True}
    with pq.ParquetWriter(path, _SCHEMA, **options) as writer:
        source = iter(rows)
        while part := list(islice(source, _ROWS)):
            writer.write_batch(_batch(part))
        facts = {"dataguard.sheet": "directories", "dataguard.root": str(root)}
        writer.add_key_value_metadata({"dataguard.format": SHEET_FORMAT, **facts})


def _batch(rows: list[DirectoryMode]) -> pa.RecordBatch:
    paths = b"".join(row.path for row in rows)
    lengths = array("i", (len(row.path) for row in rows))
    modes = array("i", (row.mode for row in rows))
    inodes = array("q", (row.inode or 0 for row in rows))
    columns = [joined_column(paths, lengths), array_column(modes, pa.int32())]
    columns.append(array_column(inodes, pa.int64()))
    return pa.RecordBatch.from_arrays(columns, schema=_SCHEMA)


@contextlib.contextmanager
def _locked(draft: str) -> Iterator[int]:
    """Make a draft that others see is being written; what was not renamed is removed."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(draft, flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield descriptor
    finally:
        with contextlib.suppress(OSError):  # renamed; or it stays as an abandoned draft
            os.unlink(draft)
        os.close(descriptor)


def _sync(folder: str) -> None:
    for directory in (folder, os.path.dirname(folder)):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
