"""Manifests and sheets: Parquet files that are written once and never seen half-written."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

import pyarrow as pa

from dataguard.core.identity import RootBuilder
from dataguard.errors import CatalogDamagedError, StoreUnreachableError
from dataguard.model.digest import Algorithm, DigestPlan, RootDigest
from dataguard.model.schema import (
    MANIFEST_FORMAT,
    SHEET_FORMAT,
    digest_sheet_schema,
    manifest_schema,
)
from dataguard.stores.allocation import allocate_frugally
from dataguard.stores.draft import Draft
from dataguard.stores.locationsheets import sheet_groups
from dataguard.stores.rowgroups import opened, row_groups
from dataguard.stores.shelf import PARTIAL, Shelf, file_sha256

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["ManifestStore"]

_CONTENT_ROWS = 32_768
"""What is compared at a time: some of it waits, of two manifests."""


class ManifestStore:
    """The directories `manifests/` and `sheets/` of a home."""

    def __init__(self, home: str) -> None:
        allocate_frugally()
        self._shelf = Shelf(home)

    def draft(self, plan: DigestPlan, *, objects: bool = False) -> Draft:
        """Return a new draft, of `objects` or files; nothing is visible before it is published.

        Raises:
            StoreUnreachableError: the directories cannot be made.
        """
        for directory in (self._shelf.manifests, self._shelf.sheets):
            try:
                os.makedirs(directory, exist_ok=True)
            except OSError as err:
                raise StoreUnreachableError(f"cannot make {directory}: {err.strerror}") from err
        return Draft(self._shelf, plan, objects=objects)

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep `alone` out while files are published that no record names yet.

        Raises:
            StoreUnreachableError: the directory cannot be made or opened.
        """
        with self._locked(fcntl.LOCK_SH):
            yield

    @contextlib.contextmanager
    def alone(self) -> Iterator[bool]:
        """Tell whether nobody is between publishing and recording, and keep it so.

        Raises:
            StoreUnreachableError: the directory cannot be made or opened.
        """
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(self._locked(fcntl.LOCK_EX | fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
            else:
                yield True

    @contextlib.contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        directory = self._shelf.manifests
        try:
            os.makedirs(directory, exist_ok=True)
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as err:
            raise StoreUnreachableError(f"cannot open {directory}: {err.strerror}") from err
        try:
            try:
                fcntl.flock(descriptor, how)
            except BlockingIOError:
                raise
            except OSError as err:
                raise StoreUnreachableError(f"cannot lock {directory}: {err.strerror}") from err
            yield
        finally:
            os.close(descriptor)

    def manifest_path(self, root: RootDigest) -> str:
        """Return where the manifest of a root is or will be."""
        return self._shelf.manifest_path(root)

    def sheet_path(self, root: RootDigest, key: str) -> str:
        """Return where a sheet is or will be."""
        return self._shelf.sheet_path(root, key)

    def read(self, root: RootDigest, algorithm: Algorithm) -> Iterator[pa.RecordBatch]:
        """Yield the entries of a manifest, verified.

        Raises:
            CatalogDamagedError: the file is missing, damaged, out of order, or its content has
                another root; known at the last row, so act on the entries only after the end.
        """
        return self._verified(root, algorithm, manifest_schema(algorithm))

    def read_content(self, root: RootDigest, algorithm: Algorithm) -> Iterator[pa.RecordBatch]:
        """Yield what the root digest covers: paths, kinds, sizes and digests, verified.

        `path` is binary: where `path_raw` is null these are the path's bytes.

        Raises:
            CatalogDamagedError: as `read`.
        """
        path, *rest = manifest_schema(algorithm)
        content = [field for field in rest if field.name != "link_target"]
        schema = pa.schema([path.with_type(pa.binary()), *content])
        return self._verified(root, algorithm, schema, rows=_CONTENT_ROWS)

    def _verified(
        self, root: RootDigest, algorithm: Algorithm, schema: pa.Schema, *, rows: int | None = None
    ) -> Iterator[pa.RecordBatch]:
        builder = RootBuilder(algorithm)
        for batch in row_groups(self.manifest_path(root), schema, MANIFEST_FORMAT, rows=rows):
            if batch.column("digest").null_count:
                raise CatalogDamagedError(f"the manifest of {root} lacks a digest")
            builder.update(batch)
            yield batch
            del batch  # its memory is wanted for the next
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
        with opened(path) as file:
            named = (file.metadata.metadata or {}).get(b"dataguard.algorithm", b"")
        try:
            return Algorithm(named.decode())
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
        facts = sheet_groups(path)
        for batch in self.read(root, algorithm):
            beside = next(facts, None)
            if beside is None or beside.num_rows != batch.num_rows:
                raise CatalogDamagedError(f"the sheet {path} does not fit its manifest")
            yield pa.RecordBatch.from_arrays(
                [*batch.columns, *beside.columns],
                schema=pa.schema([*batch.schema, *beside.schema]),
            )
        if next(facts, None) is not None:
            raise CatalogDamagedError(f"the sheet {path} does not fit its manifest")

    def read_digest_sheet(
        self, root: RootDigest, key: str, algorithms: tuple[Algorithm, ...]
    ) -> Iterator[pa.RecordBatch]:
        """Yield additional digests, row-aligned with the manifest."""
        return row_groups(self.sheet_path(root, key), digest_sheet_schema(algorithms), SHEET_FORMAT)

    def digest_sheet_algorithms(self, root: RootDigest, key: str) -> tuple[Algorithm, ...]:
        """Return which additional digests a sheet holds.

        Raises:
            CatalogDamagedError: the file is missing or damaged.
        """
        path = self.sheet_path(root, key)
        with opened(path) as file:
            names = file.metadata.schema.names
        try:
            return tuple(Algorithm(name) for name in names)
        except ValueError as err:
            raise CatalogDamagedError(f"{path} holds something else than digests") from err

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
            found = file_sha256(path)
        except OSError as err:
            raise CatalogDamagedError(f"cannot read the sheet {path}: {err.strerror}") from err
        if found != key:
            raise CatalogDamagedError(f"the sheet {path} holds other content")

    def sheets(self, root: RootDigest) -> tuple[str, ...]:
        """Return the paths of all published sheets of a root."""
        directory = os.path.join(self._shelf.sheets, root.hex)
        return tuple(os.path.join(directory, name) for name in _names(directory))

    def remove(self, path: str) -> None:
        """Remove a file that no record names, or a directory of shards.

        Raises:
            StoreUnreachableError: it cannot be removed.
        """
        try:
            if os.path.isdir(path):
                import shutil  # noqa: PLC0415  rarely needed, and brings three compressors

                shutil.rmtree(path)
            else:
                os.unlink(path)
        except FileNotFoundError:
            return
        except OSError as err:
            raise StoreUnreachableError(f"cannot remove {path}: {err.strerror}") from err

    def published(self) -> Iterator[str]:
        """Yield the paths of all published files, without drafts."""
        for directory in (self._shelf.manifests, *_subdirectories(self._shelf.sheets)):
            for name in _names(directory):
                if not name.startswith(PARTIAL):
                    yield os.path.join(directory, name)

    def abandoned(self) -> Iterator[str]:
        """Yield drafts whose writer is gone: nobody holds their lock."""
        for directory in (self._shelf.manifests, *_subdirectories(self._shelf.sheets)):
            for name in _names(directory):
                path = os.path.join(directory, name)
                if name.startswith(PARTIAL) and _is_unlocked(path):
                    yield path


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _subdirectories(directory: str) -> Iterable[str]:
    return (os.path.join(directory, name) for name in _names(directory))


def _is_unlocked(path: str) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):  # published meanwhile; somebody else's
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
