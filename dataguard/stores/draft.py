"""Manifests and sheets while they are written: invisible until all of it is durable."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING, Self

import pyarrow as pa
import pyarrow.parquet as pq

from dataguard.core.columns import joined
from dataguard.core.identity import RootBuilder
from dataguard.errors import DataguardError, StoreUnreachableError
from dataguard.model.dataclass import dataclass
from dataguard.model.schema import (
    LOCATION_SHEET,
    MANIFEST_FORMAT,
    OBJECT_SHEET,
    ROWS_PER_GROUP,
    SHEET_FORMAT,
    digest_sheet_schema,
    manifest_schema,
)
from dataguard.stores.shelf import PARTIAL, file_sha256

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.model.digest import DigestPlan, RootDigest
    from dataguard.stores.shelf import Shelf

__all__ = ["Draft", "Published"]

_ENCODINGS = {
    "path": "DELTA_BYTE_ARRAY",
    "size": "DELTA_BINARY_PACKED",
    "mtime_ns": "DELTA_BINARY_PACKED",
    "ctime_ns": "DELTA_BINARY_PACKED",
    "inode": "DELTA_BINARY_PACKED",
    "last_modified": "DELTA_BINARY_PACKED",
}
_DICTIONARY = ("kind", "mode", "uid", "gid", "checksum_type")


@dataclass(frozen=True, slots=True)
class Published:
    """What a draft became: the keys of its files and the facts of its content.

    `sheet` and `digest_sheet` are SHA-256 digests (hex) of the sheets' files.
    """

    root: RootDigest
    entries: int
    files: int
    bytes: int
    sheet: str
    digest_sheet: str | None


class Draft:
    """A manifest and its sheets while they are written.

    Use as a context manager: what was not published when it ends is removed.
    """

    def __init__(self, shelf: Shelf, plan: DigestPlan, *, objects: bool = False) -> None:
        """`objects`: the location is a bucket, and its sheet has the columns of one."""
        self._shelf = shelf
        self._plan = plan
        self._builder = RootBuilder(plan.main)
        self._pending: list[pa.RecordBatch] = []
        self._held = 0
        self._known = 0  # how many of the pending rows the builder has
        place = os.path.dirname(shelf.manifest_path(self._builder.root()))
        schemas = {
            "manifest": manifest_schema(plan.main),
            "location": OBJECT_SHEET if objects else LOCATION_SHEET,
        }
        if plan.also:
            schemas["digests"] = digest_sheet_schema(plan.also)
        self._parts: dict[str, _Part] = {}
        try:
            for name, schema in schemas.items():
                self._parts[name] = _Part(place, schema)
        except DataguardError:
            self.__exit__()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        for part in self._parts.values():
            part.discard()

    def add(self, entries: pa.RecordBatch) -> None:
        """Take the next observed entries; every digest must be there.

        Raises:
            CatalogDamagedError: entries are out of order; told once a row group is full, or when
                the root is asked for.
            DataguardError: a digest is missing.
            StoreUnreachableError: the disk is full or fails, or may not be written.
        """
        if not entries.num_rows:
            return
        if entries.column("digest").null_count:
            raise DataguardError("an entry without a digest cannot be registered")
        # Everything is done by whole row groups: a scan comes in pieces of a few hundred rows.
        self._pending.append(entries)
        self._held += entries.num_rows
        while self._held >= ROWS_PER_GROUP:
            self._write(ROWS_PER_GROUP)

    def publish(self) -> Published:
        """Make everything durable, then visible: the sheets first, then the manifest.

        Raises:
            CatalogDamagedError: entries are out of order.
            StoreUnreachableError: the disk is full or fails, or may not be written.
        """
        if self._held:
            self._write(self._held)
        root = self._builder.root()
        facts = {"dataguard.root": str(root), "dataguard.algorithm": str(self._plan.main)}
        counts = {
            "dataguard.count": str(self._builder.count),
            "dataguard.bytes": str(self._builder.bytes),
        }
        location = self._publish_sheet("location", root, facts)
        digests = self._publish_sheet("digests", root, facts) if self._plan.also else None
        manifest = self._parts["manifest"]
        manifest.finish({"dataguard.format": MANIFEST_FORMAT, **facts, **counts})
        manifest.appear(self._shelf.manifest_path(root))
        builder = self._builder
        return Published(root, builder.count, builder.files, builder.bytes, location, digests)

    def root(self) -> RootDigest:
        """Return the root digest of what was added so far.

        Raises:
            CatalogDamagedError: entries are out of order.
        """
        self._settle()
        return self._builder.root()

    @property
    def counts(self) -> tuple[int, int, int]:
        """Entries, regular files and bytes added so far."""
        self._settle()
        return self._builder.count, self._builder.files, self._builder.bytes

    def _publish_sheet(self, name: str, root: RootDigest, facts: dict[str, str]) -> str:
        part = self._parts[name]
        kind = {"dataguard.format": SHEET_FORMAT, "dataguard.sheet": name}
        part.finish({**kind, "dataguard.root": facts["dataguard.root"]})
        with _disk_errors(part.path):
            key = file_sha256(part.path)
        part.appear(self._shelf.sheet_path(root, key))
        return key

    def _write(self, rows: int) -> None:
        """Write the first pending rows as a row group."""
        last = self._pending.pop()
        beyond = self._held - rows
        group = joined([*self._pending, last.slice(0, last.num_rows - beyond)])
        # What is left may be a slice of a large batch, never of a group that was written.
        self._pending = [last.slice(last.num_rows - beyond)] if beyond else []
        self._held = beyond
        self._builder.update(group.slice(self._known))
        self._known = 0
        for part in self._parts.values():
            part.write(group)

    def _settle(self) -> None:
        """Give the builder the pending rows, which are written later."""
        if self._known < self._held:
            self._pending = [joined(self._pending)]
            self._builder.update(self._pending[0].slice(self._known))
            self._known = self._held


class _Part:
    """One Parquet file while it is written, under a temporary name and a lock."""

    def __init__(self, place: str, schema: pa.Schema) -> None:
        self._schema = schema
        self.path = os.path.join(place, f"{PARTIAL}{os.urandom(8).hex()}")
        self._lock: int | None = None
        try:
            self._writer = self._open()
        except DataguardError:
            self._remove()
            raise

    def _open(self) -> pq.ParquetWriter:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with _disk_errors(self.path):
            self._lock = os.open(self.path, flags, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_SH)
            # The schema's own metadata is left out: the columns say everything, and the file then
            # depends on the content alone.
            options = _options(self._schema)
            return pq.ParquetWriter(self.path, self._schema, store_schema=False, **options)

    def write(self, rows: pa.RecordBatch) -> None:
        columns = [rows.column(name) for name in self._schema.names]
        chosen = pa.RecordBatch.from_arrays(columns, schema=self._schema)
        with _disk_errors(self.path):
            self._writer.write_batch(chosen, row_group_size=ROWS_PER_GROUP)

    def finish(self, footer: dict[str, str]) -> None:
        """Write the footer and make the file durable."""
        with _disk_errors(self.path):
            self._writer.add_key_value_metadata(footer)
            self._writer.close()
            if self._lock is not None:
                os.fchmod(self._lock, 0o444)
                os.fsync(self._lock)

    def appear(self, path: str) -> None:
        """Give the file its name; a file of that name already has the same content."""
        with _disk_errors(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.rename(self.path, path)
            _sync_directory(os.path.dirname(path))
            _sync_directory(os.path.dirname(os.path.dirname(path)))
        self._unlock()

    def discard(self) -> None:
        if self._lock is None:
            return
        with contextlib.suppress(OSError, pa.ArrowException):
            self._writer.close()
        self._remove()

    def _remove(self) -> None:
        with contextlib.suppress(OSError):  # what stays is an abandoned draft: `catalog check`
            os.unlink(self.path)
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _options(schema: pa.Schema) -> dict[str, object]:
    return {
        "compression": {
            name: "NONE" if _is_digest(schema, name) else "ZSTD" for name in schema.names
        },
        "use_dictionary": [name for name in schema.names if name in _DICTIONARY],
        "column_encoding": {n: _ENCODINGS[n] for n in schema.names if n in _ENCODINGS},
        "write_statistics": ["path"] if "path" in schema.names else False,
        "write_page_checksum": True,
    }


def _is_digest(schema: pa.Schema, name: str) -> bool:
    return bool(pa.types.is_fixed_size_binary(schema.field(name).type))


@contextlib.contextmanager
def _disk_errors(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as err:
        raise StoreUnreachableError(
            f"cannot write {path}: {err.strerror or err}",
            hint="nothing was recorded; make room or mend the disk, then run it again",
        ) from err


def _sync_directory(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
