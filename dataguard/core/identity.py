"""The root digest `dg1`: identity of a version's content, whatever its place, time and owner."""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING

from dataguard.core.columns import are_files, content_of, fixed_bytes, little_endian, raw_paths
from dataguard.core.kernels import is_ascending, kept, lengths_of, summed
from dataguard.errors import CatalogDamagedError
from dataguard.model.digest import Algorithm, RootDigest

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

__all__ = ["RootBuilder", "check_order", "root_digest", "subtree_digest"]

_DOMAIN = b"dataguard-root-1\n"


class RootBuilder:
    """Computes a root digest from entries that arrive in path order.

    `SHA-256(domain + algorithm + LE64(count) + SHA256(P) + SHA256(L) + SHA256(K) + SHA256(S) +
    SHA256(D))` over paths, path lengths (LE32), kinds, sizes (LE64) and main digests.
    """

    def __init__(self, algorithm: Algorithm) -> None:
        self._algorithm = algorithm
        self._last: bytes | None = None
        self._streams = tuple(hashlib.sha256() for _ in range(5))
        self.count = 0
        self.files = 0
        self.bytes = 0

    def update(self, batch: pa.RecordBatch) -> None:
        """Take the next entries, with a manifest's columns.

        Raises:
            CatalogDamagedError: they are not in strictly ascending bytewise path order.
        """
        self.add(raw_paths(batch), batch.column("kind"), batch.column("size"), batch["digest"])

    def add(self, paths: pa.Array, kinds: pa.Array, sizes: pa.Array, digests: pa.Array) -> None:
        """Take the next entries as four columns without nulls."""
        if not len(paths):
            return
        self._last = check_order(paths, self._last)
        letters = content_of(kinds)
        lengths = little_endian(lengths_of(paths))
        parts = (content_of(paths), lengths, letters, little_endian(sizes), fixed_bytes(digests))
        for stream, part in zip(self._streams, parts, strict=True):
            stream.update(part)
        files = bytes(letters).count(b"f")
        self.count += len(paths)
        self.files += files
        of_files = sizes if files == len(paths) else kept(sizes, are_files(kinds))
        self.bytes += summed(of_files)

    def root(self) -> RootDigest:
        """Return the digest of what was taken so far."""
        head = _DOMAIN + self._algorithm.encode() + b"\n" + struct.pack("<Q", self.count)
        body = b"".join(stream.digest() for stream in self._streams)
        return RootDigest(hashlib.sha256(head + body).hexdigest())


def root_digest(batches: Iterable[pa.RecordBatch], algorithm: Algorithm) -> RootDigest:
    """Return the root digest of a stream of entries."""
    builder = RootBuilder(algorithm)
    for batch in batches:
        builder.update(batch)
    return builder.root()


def subtree_digest(
    batches: Iterable[pa.RecordBatch], prefix: bytes, algorithm: Algorithm
) -> RootDigest:
    """Return the root digest of what lies below `prefix`.

    Law: equal to the root digest of that directory registered by itself.
    """
    import pyarrow.compute as pc  # noqa: PLC0415  few ask for it: see `kernels`

    builder = RootBuilder(algorithm)
    start = prefix.rstrip(b"/") + b"/"
    for batch in batches:
        paths = raw_paths(batch)
        below = pc.starts_with(paths, start)
        inside = kept(batch, below)
        shortened = pc.binary_replace_slice(kept(paths, below), 0, len(start), b"")
        builder.add(
            shortened, inside.column("kind"), inside.column("size"), inside.column("digest")
        )
    return builder.root()


def check_order(paths: pa.Array, last: bytes | None) -> bytes:
    """Return the last path of a batch in strictly ascending bytewise order after `last`.

    Raises:
        CatalogDamagedError: the order is broken.
    """
    first: bytes = paths[0].as_py()
    if not is_ascending(paths) or (last is not None and first <= last):
        raise CatalogDamagedError(
            "entries are not in path order", hint="`dataguard catalog check` tells which file"
        )
    result: bytes = paths[len(paths) - 1].as_py()
    return result
