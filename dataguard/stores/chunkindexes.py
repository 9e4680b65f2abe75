"""Indexes of chunks in files: derived, checked when opened, mapped into memory, safe to delete.

One file a version, named by its root, in `state/index/` of the home: `magic, rows, xxh3-128 of what
follows`, then four columns of 64-bit words, little endian: digest of the chunk (ascending), row of
the manifest, offset, length.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
from typing import TYPE_CHECKING

import xxhash

from dataguard.core.chunkmatch import ChunkIndex
from dataguard.core.numeric import np
from dataguard.stores.indexfiles import IndexFiles

if TYPE_CHECKING:
    from collections.abc import Collection

    from dataguard.model.digest import RootDigest

__all__ = ["ChunkIndexes"]

_MAGIC = b"dataguard-chnk-1"
_HEADER = struct.Struct("<16sQ16s")
_SUFFIX = ".chunks"
_PIECE = 1 << 20
_KINDS = tuple(map(np.dtype, ("<u8", "<i8", "<i8", "<i8")))


class ChunkIndexes:
    """The indexes of a home."""

    def __init__(self, home: str) -> None:
        self._files = IndexFiles(home, _SUFFIX)

    def load(self, root: RootDigest) -> ChunkIndex | None:
        """Return what is kept of a version; None where it is missing, damaged or of another kind.

        It stays on the disk: what is looked up is read.
        """
        try:
            with open(self._files.path(root), "rb") as file:
                header = file.read(_HEADER.size)
                size = os.fstat(file.fileno()).st_size
                if len(header) < _HEADER.size:
                    return None
                magic, rows, checksum = _HEADER.unpack(header)
                if magic != _MAGIC or size != _HEADER.size + 32 * rows:
                    return None
                if _digest(file.fileno()) != checksum:
                    return None
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError:  # it is made again
            return None
        starts = (_HEADER.size + 8 * rows * number for number in range(len(_KINDS)))
        columns = (
            np.frombuffer(data, kind, rows, at) for kind, at in zip(_KINDS, starts, strict=False)
        )
        return ChunkIndex(*columns)

    def keep(self, root: RootDigest, index: ChunkIndex) -> None:
        """Keep an index, where the home can be written; the next scan makes it again else."""
        with contextlib.suppress(OSError):
            self._save(root, index)

    def prune(self, roots: Collection[str]) -> None:
        """Remove the files of versions that are not in the catalog any more."""
        self._files.prune(roots)

    def _save(self, root: RootDigest, index: ChunkIndex) -> None:
        """Write a file and put it in place.

        Raises:
            OSError: it cannot be written.
        """
        columns = (index.digests, index.rows, index.offsets, index.lengths)
        with (
            self._files.replacing(root) as descriptor,
            open(descriptor, "wb", closefd=False) as file,
        ):
            file.write(bytes(_HEADER.size))
            found = xxhash.xxh3_128()
            for kind, column in zip(_KINDS, columns, strict=True):
                data = np.ascontiguousarray(column, kind).view(np.uint8).data
                found.update(data)
                file.write(data)
            file.seek(0)
            file.write(_HEADER.pack(_MAGIC, len(index.digests), found.digest()))


def _digest(descriptor: int) -> bytes:
    """Digest what follows the header; by reading, so that it does not count as memory."""
    found, at = xxhash.xxh3_128(), _HEADER.size
    while piece := os.pread(descriptor, _PIECE, at):
        found.update(piece)
        at += len(piece)
    return found.digest()
