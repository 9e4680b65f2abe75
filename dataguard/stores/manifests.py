"""Manifests and sheets: Parquet files that are written once and never seen half-written."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import pyarrow as pa
import pyarrow.parquet as pq

from dataguard.core.columns import regroup
from dataguard.core.identity import RootBuilder
from dataguard.errors import CatalogDamagedError, DataguardError, StoreUnreachableError
from dataguard.model.digest import Algorithm, DigestPlan, RootDigest
from dataguard.model.schema import (
    LOCATION_SHEET,
    MANIFEST_FORMAT,
    ROWS_PER_GROUP,
    SHEET_FORMAT,
    digest_sheet_schema,
    manifest_schema,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Draft", "ManifestStore", "Published"]

_PARTIAL = ".partial-"
_ENCODINGS = {
    "path": "DELTA_BYTE_ARRAY",
    "size": "DELTA_BINARY_PACKED",
    "mtime_ns": "DELTA_BINARY_PACKED",
    "ctime_ns": "DELTA_BINARY_PACKED",
    "inode": "DELTA_BINARY_PACKED",
}
_DICTIONARY = ("kind", "mode", "uid", "gid")


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


class ManifestStore:
    """The directories `manifests/` and `sheets/` of a home."""

    def __init__(self, home: str) -> None:
        self._manifests = os.path.join(home, "manifests")
        self._sheets = os.path.join(home, "sheets")

    def draft(self, plan: DigestPlan) -> Draft:
        """Return a new draft; nothing is visible before it is published.

        Raises:
            StoreUnreachableError: the directories cannot be made.
        """
        for directory in (self._manifests, self._sheets):
            try:
                os.makedirs(directory, exist_ok=True)
            except OSError as err:
                raise StoreUnreachableError(f"cannot make {directory}: {err.strerror}") from err
        return Draft(self, plan)

    def manifest_path(self, root: RootDigest) -> str:
        """Return where the manifest of a root is or will be."""
        return os.path.join(self._manifests, f"{root.hex}.parquet")

    def sheet_path(self, root: RootDigest, key: str) -> str:
        """Return where a sheet is or will be."""
        return os.path.join(self._sheets, root.hex, f"{key}.parquet")

    def read(self, root: RootDigest, algorithm: Algorithm) -> Iterator[pa.RecordBatch]:
        """Yield the entries of a manifest, verified.

        Raises:
            CatalogDamagedError: the file is missing, damaged, out of order, or its content has
                another root; known at the last row, so act on the entries only after the end.
        """
        builder = RootBuilder(algorithm)
        for batch in _rows(self.manifest_path(root), manifest_schema(algorithm)):
            builder.update(batch)
            yield batch
        if builder.root() != root:
            raise CatalogDamagedError(
                f"the manifest of {root} holds other content: {builder.root()}",
                hint="restore the manifest from a backup of the home",
            )

    def algorithm(self, root: RootDigest) -> Algorithm:
        """Return the main algorithm that a manifest's footer names.

        Raises:
            CatalogDamagedError: the file is missing or damaged.
        """
        path = self.manifest_path(root)
        with _opened(path) as file:
            named = (file.metadata.metadata or {}).get(b"dataguard.algorithm", b"").decode()
        try:
            return Algorithm(named)
        except ValueError as err:
            raise CatalogDamagedError(f"{path} names no algorithm") from err

    def read_with_sheet(
        self, root: RootDigest, algorithm: Algorithm, sheet: str
    ) -> Iterator[pa.RecordBatch]:
        """Yield the entries of a manifest with the columns of a location sheet beside them.

        Raises:
            CatalogDamagedError: as `read`; or the sheet has other rows than the manifest.
        """
        path = self.sheet_path(root, sheet)
        facts = _rows(path, LOCATION_SHEET)
        for batch in self.read(root, algorithm):
            beside = next(facts, None)
            if beside is None or beside.num_rows != batch.num_rows:
                raise CatalogDamagedError(f"the sheet {path} does not fit its manifest")
            yield pa.RecordBatch.from_arrays(
                [*batch.columns, *beside.columns],
                schema=pa.schema([*batch.schema, *beside.schema]),
            )

    def read_digest_sheet(
        self, root: RootDigest, key: str, algorithms: tuple[Algorithm, ...]
    ) -> Iterator[pa.RecordBatch]:
        """Yield additional digests, row-aligned with the manifest."""
        return _rows(self.sheet_path(root, key), digest_sheet_schema(algorithms))

    def digest_sheet_algorithms(self, root: RootDigest, key: str) -> tuple[Algorithm, ...]:
        """Return which additional digests a sheet holds."""
        with _opened(self.sheet_path(root, key)) as file:
            return tuple(Algorithm(name) for name in file.schema_arrow.names)

    def verify(self, root: RootDigest, algorithm: Algorithm) -> None:
        """Read a manifest to its end.

        Raises:
            CatalogDamagedError: as `read`.
        """
        for _ in self.read(root, algorithm):
            pass

    def verify_sheet(self, root: RootDigest, key: str) -> None:
        """Compare a sheet with the digest in its name.

        Raises:
            CatalogDamagedError: it is missing or differs.
        """
        path = self.sheet_path(root, key)
        try:
            found = _file_sha256(path)
        except OSError as err:
            raise CatalogDamagedError(f"cannot read the sheet {path}: {err.strerror}") from err
        if found != key:
            raise CatalogDamagedError(f"the sheet {path} holds other content")

    def sheets(self, root: RootDigest) -> tuple[str, ...]:
        """Return the paths of all published sheets of a root."""
        directory = os.path.join(self._sheets, root.hex)
        return tuple(os.path.join(directory, name) for name in _names(directory))

    def remove(self, path: str) -> None:
        """Remove a file that no record names.

        Raises:
            StoreUnreachableError: it cannot be removed.
        """
        try:
            os.unlink(path)
        except FileNotFoundError:
            return
        except OSError as err:
            raise StoreUnreachableError(f"cannot remove {path}: {err.strerror}") from err

    def published(self) -> Iterator[str]:
        """Yield the paths of all published files, without drafts."""
        for directory in (self._manifests, *_subdirectories(self._sheets)):
            for name in _names(directory):
                if not name.startswith(_PARTIAL):
                    yield os.path.join(directory, name)

    def abandoned(self) -> Iterator[str]:
        """Yield drafts whose writer is gone: nobody holds their lock."""
        for directory in (self._manifests, *_subdirectories(self._sheets)):
            for name in _names(directory):
                path = os.path.join(directory, name)
                if name.startswith(_PARTIAL) and _is_unlocked(path):
                    yield path


class Draft:
    """A manifest and its sheets while they are written.

    Use as a context manager: what was not published when it ends is removed.
    """

    def __init__(self, store: ManifestStore, plan: DigestPlan) -> None:
        self._store = store
        self._plan = plan
        self._builder = RootBuilder(plan.main)
        self._pending: list[pa.RecordBatch] = []
        self._held = 0
        place = os.path.dirname(store.manifest_path(self._builder.root()))
        self._parts = {
            "manifest": _Part(place, manifest_schema(plan.main)),
            "location": _Part(place, LOCATION_SHEET),
        }
        if plan.also:
            self._parts["digests"] = _Part(place, digest_sheet_schema(plan.also))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        for part in self._parts.values():
            part.discard()

    def add(self, entries: pa.RecordBatch) -> None:
        """Take the next observed entries; every digest must be there.

        Raises:
            CatalogDamagedError: they are out of order.
            DataguardError: the disk is full or fails.
        """
        if not entries.num_rows:
            return
        self._builder.update(entries)
        self._pending.append(entries)
        self._held += entries.num_rows
        if self._held >= ROWS_PER_GROUP:
            self._flush(final=False)

    def publish(self) -> Published:
        """Make everything durable, then visible: the sheets first, then the manifest."""
        self._flush(final=True)
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
        manifest.appear(self._store.manifest_path(root))
        builder = self._builder
        return Published(root, builder.count, builder.files, builder.bytes, location, digests)

    def root(self) -> RootDigest:
        """Return the root digest of what was added so far."""
        return self._builder.root()

    @property
    def counts(self) -> tuple[int, int, int]:
        """Entries, regular files and bytes added so far."""
        return self._builder.count, self._builder.files, self._builder.bytes

    def _publish_sheet(self, name: str, root: RootDigest, facts: dict[str, str]) -> str:
        part = self._parts[name]
        kind = {"dataguard.format": SHEET_FORMAT, "dataguard.sheet": name}
        part.finish({**kind, "dataguard.root": facts["dataguard.root"]})
        key = _file_sha256(part.path)
        part.appear(self._store.sheet_path(root, key))
        return key

    def _flush(self, *, final: bool) -> None:
        groups = list(regroup(self._pending, ROWS_PER_GROUP))
        rest = [] if final or not groups else groups[-1:]
        if rest and rest[0].num_rows == ROWS_PER_GROUP:
            rest = []
        for group in groups[: len(groups) - len(rest)]:
            for part in self._parts.values():
                part.write(group)
        self._pending = rest
        self._held = sum(batch.num_rows for batch in rest)


class _Part:
    """One Parquet file while it is written, under a temporary name and a lock."""

    def __init__(self, place: str, schema: pa.Schema) -> None:
        self._schema = schema
        self.path = os.path.join(place, f"{_PARTIAL}{secrets.token_hex(8)}")
        self._lock: int | None = None
        with _disk_errors(self.path):
            self._lock = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC)
            fcntl.flock(self._lock, fcntl.LOCK_SH)
        # The schema's own metadata is left out: the columns say everything, and the file then
        # depends on the content alone.
        self._writer = pq.ParquetWriter(self.path, schema, store_schema=False, **_options(schema))

    def write(self, rows: pa.RecordBatch) -> None:
        chosen = rows.select(self._schema.names).cast(self._schema)
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
        with contextlib.suppress(FileNotFoundError):
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
    }


def _is_digest(schema: pa.Schema, name: str) -> bool:
    return bool(pa.types.is_fixed_size_binary(schema.field(name).type))


def _rows(path: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the row groups of a file as batches of exactly this schema."""
    with _opened(path) as file:
        missing = set(schema.names) - set(file.schema_arrow.names)
        if missing:
            raise CatalogDamagedError(f"{path} lacks the column {min(missing)}")
        for number in range(file.num_row_groups):
            try:
                table = file.read_row_group(number, columns=schema.names, use_threads=False)
                table = table.select(schema.names).cast(schema)
            except (pa.ArrowException, OSError) as err:
                raise CatalogDamagedError(f"{path} is damaged: {err}") from err
            yield from table.combine_chunks().to_batches()


@contextlib.contextmanager
def _opened(path: str) -> Iterator[pq.ParquetFile]:
    try:
        file = pq.ParquetFile(path, pre_buffer=False, memory_map=False)
    except FileNotFoundError as err:
        raise CatalogDamagedError(
            f"{path} is missing", hint="restore it from a backup of the home"
        ) from err
    except (pa.ArrowException, OSError) as err:
        raise CatalogDamagedError(f"{path} is damaged: {err}") from err
    with file:
        yield file


@contextlib.contextmanager
def _disk_errors(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as err:
        raise DataguardError(
            f"cannot write {path}: {err.strerror or err}",
            hint="nothing was recorded; make room or mend the disk, then run it again",
        ) from err


def _file_sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_directory(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []


def _subdirectories(directory: str) -> Iterable[str]:
    return (os.path.join(directory, name) for name in _names(directory))


def _is_unlocked(path: str) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
