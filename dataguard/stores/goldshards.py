"""Shards of the gold index in files: derived from manifests, checked when opened, safe to delete.

One file a version, named by its root: a version that is registered adds a file, and nothing else
has to be made anew. A file is `magic, width, rows, sizes, xxh3-128 of what follows`, then the
columns of the shard one after the other, little endian.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
from typing import TYPE_CHECKING

import xxhash

from dataguard.core.goldindex import Shard, make_shard
from dataguard.core.numeric import np
from dataguard.stores.indexfiles import IndexFiles

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from dataguard.model.dataset import Version
    from dataguard.stores.manifests import ManifestStore

__all__ = ["GoldShards"]

_MAGIC = b"dataguard-gold-1"
_HEADER = struct.Struct("<16sQQQ16s")
_PIECE = 1 << 20
_SUFFIX = ".gold"


class GoldShards:
    """The directory `state/index/` of a home."""

    def __init__(self, home: str, manifests: ManifestStore) -> None:
        self._files = IndexFiles(home, _SUFFIX)
        self._manifests = manifests

    def shard(self, version: Version) -> Shard:
        """Return the shard of a version, made from its manifest where there is no good file.

        Raises:
            CatalogDamagedError: the manifest is missing or damaged.
        """
        path = self._files.path(version.root)
        width = version.algorithm.digest_bytes
        found = _load(path, width)
        if found is not None:
            return found
        entries = self._manifests.read_content(version.root, version.algorithm)
        made = make_shard(entries, version.entries, width)
        # Whoever may not write the home, or has no room there, searches what is in memory.
        with contextlib.suppress(OSError):
            self._save(version, made, width)
            return _load(path, width) or made
        return made

    def prune(self, roots: Collection[str]) -> None:
        """Remove the files of versions that are not in the catalog any more."""
        self._files.prune(roots)

    def _save(self, version: Version, shard: Shard, width: int) -> None:
        """Write a file and put it in place.

        Raises:
            OSError: it cannot be written.
        """
        layout = _layout(len(shard.heads), len(shard.sizes), width)
        columns = (shard.sizes, shard.heads, shard.tails, shard.lengths, shard.rows)
        with self._files.replacing(version.root) as descriptor:
            os.pwrite(descriptor, bytes(_HEADER.size), 0)
            os.lseek(descriptor, _HEADER.size, os.SEEK_SET)
            found = xxhash.xxh3_128()
            for (kind, _), column in zip(layout, columns, strict=True):
                for piece in _pieces(np.ascontiguousarray(column, kind)):
                    found.update(piece)
                    _write(descriptor, piece)
            header = _HEADER.pack(_MAGIC, width, len(shard.heads), len(shard.sizes), found.digest())
            os.pwrite(descriptor, header, 0)


def _load(path: str, width: int) -> Shard | None:
    """Return what a file holds; None where it is missing, damaged or of another kind."""
    try:
        with open(path, "rb") as file:
            header = file.read(_HEADER.size)
            if len(header) < _HEADER.size:
                return None
            magic, found_width, rows, sizes, checksum = _HEADER.unpack(header)
            layout = _layout(rows, sizes, width)
            length = _HEADER.size + sum(kind.itemsize * count for kind, count in layout)
            if (magic, found_width) != (_MAGIC, width) or os.fstat(file.fileno()).st_size != length:
                return None
            if _digest(file.fileno()) != checksum:
                return None
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError:  # it is made again
        return None
    return _shard(data, layout, rows, width)


def _layout(rows: int, sizes: int, width: int) -> list[tuple[np.dtype, int]]:
    """Return type and number of the values of each column."""
    others = width // 8 - 1
    number = np.dtype("<u4" if rows < 1 << 32 else "<u8")
    signed, unsigned = np.dtype("<i8"), np.dtype("<u8")
    return [
        (signed, sizes),
        (unsigned, rows),
        (unsigned, rows * others),
        (signed, rows),
        (number, rows),
    ]


def _shard(data: mmap.mmap, layout: list[tuple[np.dtype, int]], rows: int, width: int) -> Shard:
    columns, at = [], _HEADER.size
    for kind, count in layout:
        columns.append(np.frombuffer(data, kind, count, at))
        at += kind.itemsize * count
    sizes, heads, tails, lengths, numbers = columns
    return Shard(sizes, heads, tails.reshape(rows, width // 8 - 1), lengths, numbers)


def _digest(descriptor: int) -> bytes:
    """Digest what follows the header; by reading, so that it does not count as memory."""
    found, at = xxhash.xxh3_128(), _HEADER.size
    while piece := os.pread(descriptor, _PIECE, at):
        found.update(piece)
        at += len(piece)
    return found.digest()


def _pieces(column: np.ndarray) -> Iterator[memoryview]:
    data = memoryview(column.reshape(-1).view(np.uint8).data)
    return (data[at : at + _PIECE] for at in range(0, len(data), _PIECE))


def _write(descriptor: int, piece: memoryview) -> None:
    while piece:
        piece = piece[os.write(descriptor, piece) :]
