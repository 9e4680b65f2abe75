"""Sheets of beginnings in files: read from gold once, checked when opened, safe to delete.

One file a version, named by its root, in `state/index/` of the home: `magic, rows, xxh3-128 of what
follows`, then three columns of 64-bit words, little endian: digest of the first 4 KiB (ascending),
row of the manifest, size.
"""

from __future__ import annotations

import contextlib
import struct
from typing import TYPE_CHECKING

import xxhash

from dataguard.core.columns import kind_mask, numbers, raw_paths
from dataguard.core.numeric import np
from dataguard.core.partial import HEAD_BYTES, Heads, heads_of
from dataguard.stores.beginnings import Beginnings
from dataguard.stores.indexfiles import IndexFiles

if TYPE_CHECKING:
    from collections.abc import Collection

    from dataguard.model.dataset import Version
    from dataguard.stores.manifests import ManifestStore

__all__ = ["HeadSheets"]

_MAGIC = b"dataguard-head-1"
_HEADER = struct.Struct("<16sQ16s")
_SUFFIX = ".heads"


class HeadSheets:
    """The sheets of a home."""

    def __init__(self, home: str, manifests: ManifestStore) -> None:
        self._files = IndexFiles(home, _SUFFIX)
        self._manifests = manifests

    def heads(self, version: Version, place: str) -> tuple[Heads, int]:
        """Return the beginnings of a version's files, and how many of them could not be read.

        They are read at `place` where there is no good file. One is kept only where all could be.

        Raises:
            CatalogDamagedError: the manifest is missing or damaged.
        """
        found = _load(self._files.path(version.root))
        if found is not None:
            return found, 0
        made, missed = self._read(version, place)
        if not missed:
            with contextlib.suppress(OSError):  # the next one reads gold again
                self._save(version, made)
        return made, missed

    def prune(self, roots: Collection[str]) -> None:
        """Remove the files of versions that are not in the catalog any more."""
        self._files.prune(roots)

    def _save(self, version: Version, sheet: Heads) -> None:
        """Write a file and put it in place.

        Raises:
            OSError: it cannot be written.
        """
        body = b"".join(column.tobytes() for column in (sheet.heads, sheet.rows, sheet.sizes))
        head = _HEADER.pack(_MAGIC, len(sheet.heads), xxhash.xxh3_128_digest(body))
        with (
            self._files.replacing(version.root) as descriptor,
            open(descriptor, "wb", closefd=False) as file,
        ):
            file.write(head)
            file.write(body)

    def _read(self, version: Version, place: str) -> tuple[Heads, int]:
        heads, rows, sizes, missed, first = [], [], [], 0, 0
        try:
            source = Beginnings(place)
        except OSError:  # then no file of it can be read either
            return heads_of(*_columns([], [], [])), version.files
        with source:
            for batch in self._manifests.read(version.root, version.algorithm):
                lengths = numbers(batch.column("size"))
                kept = np.flatnonzero(kind_mask(batch, "f") & (lengths >= HEAD_BYTES)).tolist()
                paths = raw_paths(batch)
                for row in kept:
                    head = _head(source, paths[row].as_py())
                    if head is None:
                        missed += 1
                        continue
                    heads.append(head)
                    rows.append(first + row)
                    sizes.append(int(lengths[row]))
                first += batch.num_rows
        return heads_of(*_columns(heads, rows, sizes)), missed


def _head(source: Beginnings, path: bytes) -> int | None:
    try:
        return source.head(path)
    except OSError:  # counted, and told with the version
        return None


def _columns(
    heads: list[int], rows: list[int], sizes: list[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.array(heads, np.uint64), np.array(rows, np.int64), np.array(sizes, np.int64)


def _load(path: str) -> Heads | None:
    """Return what a file holds; None where it is missing, damaged or of another kind."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError:  # it is made again
        return None
    if len(content) < _HEADER.size:
        return None
    magic, count, digest = _HEADER.unpack_from(content)
    body = memoryview(content)[_HEADER.size :]
    if magic != _MAGIC or len(body) != 24 * count or xxhash.xxh3_128_digest(body) != digest:
        return None
    kinds = (np.dtype("<u8"), np.dtype("<i8"), np.dtype("<i8"))
    return Heads(*(np.frombuffer(body, kind, count, 8 * count * i) for i, kind in enumerate(kinds)))
