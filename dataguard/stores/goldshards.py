"""Shards of the gold index in files: derived from manifests, checked when used, safe to delete.

One file a version, named by its root: a version that is registered adds a file, and nothing else
has to be made anew. A file is `magic, 1, width, rows, sizes, two checksums`, then the columns of
the shard one after the other, all in the order of bytes of the machine that wrote it. Checksums
are xxh3-128: of the sizes, which are read at once, and of what follows them.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
from typing import TYPE_CHECKING, NamedTuple

import xxhash

from dataguard.core.goldindex import Shard, ShardColumns
from dataguard.stores.indexfiles import IndexFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from io import BufferedReader

    from dataguard.model.dataset import Version
    from dataguard.stores.manifests import ManifestStore

__all__ = ["GoldShards"]

_MAGIC = b"dataguard-gold-2"
_OURS = 1
"""Another number where a machine of another order of bytes reads it."""

_HEADER = struct.Struct("=16sQQQQ16s16s")
_PIECE = 1 << 20
_SUFFIX = ".gold"
_WORD = 8


class GoldShards:
    """The directory `state/index/` of a home."""

    def __init__(self, home: str, manifests: Callable[[], ManifestStore]) -> None:
        """Read nothing yet; `manifests` is asked where a file has to be made."""
        self._files = IndexFiles(home, _SUFFIX)
        self._manifests = manifests

    def shard(self, version: Version) -> Shard:
        """Return the shard of a version, made from its manifest where there is no good file.

        Raises:
            CatalogDamagedError: the manifest is missing or damaged.
        """
        found = _head(self._files.path(version.root), version.algorithm.digest_bytes)
        if found is None:
            return self._made(version)
        return Shard(found.sizes, found.files, lambda: self._columns(version))

    def prune(self, roots: Collection[str]) -> None:
        """Remove the files of versions that are not in the catalog any more."""
        self._files.prune(roots)

    def _columns(self, version: Version) -> ShardColumns:
        """Return what follows the sizes, made anew where it is damaged."""
        found = _columns(self._files.path(version.root), version.algorithm.digest_bytes)
        return found or self._made(version).columns

    def _made(self, version: Version) -> Shard:
        from dataguard.core.goldmaking import make_shard  # noqa: PLC0415  loads Arrow and numpy

        width = version.algorithm.digest_bytes
        entries = self._manifests().read_content(version.root, version.algorithm)
        made = make_shard(entries, version.entries, width)
        # Whoever may not write the home, or has no room there, searches what is in memory.
        with contextlib.suppress(OSError):
            self._save(version, made, width)
            saved = _columns(self._files.path(version.root), width)
            return made if saved is None else Shard(made.sizes, made.files, lambda: saved)
        return made

    def _save(self, version: Version, shard: Shard, width: int) -> None:
        """Write a file and put it in place.

        Raises:
            OSError: it cannot be written.
        """
        sums = []
        with self._files.replacing(version.root) as descriptor:
            os.pwrite(descriptor, bytes(_HEADER.size), 0)
            os.lseek(descriptor, _HEADER.size, os.SEEK_SET)
            for columns in ((shard.sizes,), shard.columns):
                found = xxhash.xxh3_128()
                for piece in _pieces(columns):
                    found.update(piece)
                    _write(descriptor, piece)
                sums.append(found.digest())
            counts = width, shard.files, len(shard.sizes)
            os.pwrite(descriptor, _HEADER.pack(_MAGIC, _OURS, *counts, *sums), 0)


class _Head(NamedTuple):
    """The beginning of a file; `checksum` is of what follows the sizes."""

    files: int
    sizes: memoryview
    checksum: bytes


def _head(path: str, width: int) -> _Head | None:
    """Return how a file begins; None where it is missing, damaged or of another kind."""
    try:
        with open(path, "rb") as file:
            return _read_head(file, width)
    except OSError:  # it is made again
        return None


def _read_head(file: BufferedReader, width: int) -> _Head | None:
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return None
    magic, ours, found_width, rows, sizes, *checksums = _HEADER.unpack(header)
    if (magic, ours, found_width) != (_MAGIC, _OURS, width):
        return None
    length = _HEADER.size + _WORD * sizes + sum(_lengths(rows, width))
    if os.fstat(file.fileno()).st_size != length:
        return None
    column = file.read(_WORD * sizes)
    if xxhash.xxh3_128_digest(column) != checksums[0]:
        return None
    return _Head(rows, memoryview(column).cast("q"), checksums[1])


def _columns(path: str, width: int) -> ShardColumns | None:
    """Return the columns of a file; None where it is missing, damaged or of another kind."""
    try:
        with open(path, "rb") as file:
            head = _read_head(file, width)
            if head is None or _digest(file) != head.checksum:
                return None
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError:  # as above
        return None
    lengths = _lengths(head.files, width)
    view, at, parts = memoryview(data), len(data) - sum(lengths), []
    for length in lengths:
        parts.append(view[at : at + length])
        at += length
    heads, tails, sizes, rows = parts
    numbers = rows.cast("I") if _is_narrow(head.files) else rows.cast("Q")
    return ShardColumns(heads.cast("Q"), tails.cast("Q"), sizes.cast("q"), numbers)


def _lengths(rows: int, width: int) -> tuple[int, int, int, int]:
    """Return how many bytes each column takes."""
    row = _WORD // 2 if _is_narrow(rows) else _WORD
    return _WORD * rows, (width - _WORD) * rows, _WORD * rows, row * rows


def _is_narrow(rows: int) -> bool:
    """Whether rows are numbered by 32 bits."""
    return rows < 1 << 32


def _digest(file: BufferedReader) -> bytes:
    """Digest the rest of a file; by reading, so that it does not count as memory."""
    found, room = xxhash.xxh3_128(), memoryview(bytearray(_PIECE))
    while count := file.readinto(room):
        found.update(room[:count])
    return found.digest()


def _pieces(columns: Iterable[memoryview]) -> Iterator[memoryview]:
    for column in columns:
        data = column.cast("B")
        yield from (data[at : at + _PIECE] for at in range(0, len(data), _PIECE))


def _write(descriptor: int, piece: memoryview) -> None:
    while piece:
        piece = piece[os.write(descriptor, piece) :]
