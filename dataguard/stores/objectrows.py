"""What listings and workers tell of objects, as observed entries in path order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from dataguard.core.columns import (
    binary_column,
    flag_column,
    joined_fixed_column,
    letter_column,
    number_column,
    numbers,
    raw_paths,
    shortened,
    text_paths,
)
from dataguard.core.kernels import kept
from dataguard.core.numeric import np
from dataguard.core.objectsigns import as_files
from dataguard.model.objects import Pin
from dataguard.model.schema import observed_schema
from dataguard.stores.interface import Scanned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dataguard.model.digest import DigestPlan
    from dataguard.model.span import Span
    from dataguard.stores.objectread import Read

__all__ = ["entries_of", "in_steps", "looked_at", "pins_of", "scanned", "within"]


def within(
    page: pa.RecordBatch,
    prefix: bytes,
    span: Span,
    excluded: Callable[[bytes], bool] | None,
) -> pa.RecordBatch:
    """Return the rows of a listing that are entries: newest, not deleted, in the span."""
    chosen = numbers(page.column("is_latest")) & ~numbers(page.column("is_delete_marker"))
    start = len(prefix)
    paths = [key[start:] for key in page.column("key").to_pylist()]
    # An object with the name of the prefix alone marks a folder, and has no path in it.
    if not (paths and span.contains(paths[0]) and span.contains(paths[-1]) and not excluded):
        wanted = (
            bool(path) and span.contains(path) and not (excluded and excluded(path))
            for path in paths
        )
        chosen &= np.fromiter(wanted, np.bool_, len(paths))
    return page if chosen.all() else kept(page, flag_column(bytes(chosen)))


def entries_of(page: pa.RecordBatch, prefix: bytes, plan: DigestPlan) -> pa.RecordBatch:
    """Return rows of a listing as observed entries that were not read."""
    count = page.num_rows
    schema = observed_schema(plan.main, plan.also, objects=True)
    text, raw = text_paths(shortened(page.column("key"), len(prefix)))
    made = {
        "path": text,
        "path_raw": raw,
        "kind": letter_column(b"f" * count),
        "size": page.column("size"),
        "link_target": pa.nulls(count, pa.binary()),
        **as_files(page.column("etag"), page.column("last_modified")),
        "version_id": page.column("version_id"),
        "etag": page.column("etag"),
        "last_modified": page.column("last_modified"),
        "checksum": pa.nulls(count, pa.string()),
        "checksum_type": pa.nulls(count, pa.string()),
        "nlink": number_column(np.ones(count, np.int64)),
        "digest": pa.nulls(count, pa.binary(plan.main.digest_bytes)),
    }
    for one in plan.also:
        made[str(one)] = pa.nulls(count, pa.binary(one.digest_bytes))
    return pa.RecordBatch.from_arrays([made[name] for name in schema.names], schema=schema)


def pins_of(entries: pa.RecordBatch, prefix: bytes) -> tuple[Pin, ...]:
    """Return what pins each of these entries."""
    keys = [prefix + path for path in raw_paths(entries).to_pylist()]
    columns = (entries.column(name).to_pylist() for name in ("version_id", "etag", "size"))
    return tuple(map(Pin, keys, *columns))


def scanned(entries: pa.RecordBatch, read: Read, plan: DigestPlan) -> Scanned:
    """Return entries with what a worker read of them; without those that it could not read."""
    made = {name: entries.column(name) for name in entries.schema.names}
    for algorithm, digests in zip(plan.algorithms, read.digests, strict=True):
        name = "digest" if algorithm is plan.main else str(algorithm)
        made[name] = joined_fixed_column(digests, algorithm.digest_bytes, read.known)
    listed = made["version_id"]
    if listed.null_count:
        made["version_id"] = _filled(listed.to_pylist(), read.versions)
    made["checksum"] = _texts([value for value, _ in read.checksums])
    made["checksum_type"] = _texts([kind for _, kind in read.checksums])
    batch = pa.RecordBatch.from_arrays(list(made.values()), schema=entries.schema)
    if 0 in read.known:
        batch = kept(batch, flag_column(read.known))
    gaps = tuple(sorted(read.unreadable, key=lambda item: item.path))
    return Scanned(batch, gaps, read.files_read, read.bytes_read, by_checksum=read.by_checksum)


def looked_at(entries: pa.RecordBatch, read: Read) -> Scanned:
    """Return entries with the versions and checksums that a worker was told of them."""
    made = {name: entries.column(name) for name in entries.schema.names}
    made["version_id"] = _texts(read.versions)
    batch = pa.RecordBatch.from_arrays(list(made.values()), schema=entries.schema)
    if 0 in read.known:
        batch = kept(batch, flag_column(read.known))
    return Scanned(batch, tuple(sorted(read.unreadable, key=lambda item: item.path)), 0, 0)


def in_steps(entries: pa.RecordBatch, rows: int, size: int) -> Iterator[pa.RecordBatch]:
    """Cut entries into units of at most so many rows, and bytes unless a single one has more."""
    sizes = entries.column("size").to_pylist()
    start = held = 0
    for row, one in enumerate(sizes):
        if row > start and (row - start >= rows or held + one > size):
            yield entries.slice(start, row - start)
            start, held = row, 0
        held += one
    if start < len(sizes):
        yield entries.slice(start)


def _filled(listed: Sequence[str | None], told: Sequence[str | None]) -> pa.Array:
    return _texts([one or other for one, other in zip(listed, told, strict=True)])


def _texts(values: Sequence[str | None]) -> pa.Array:
    raw = [None if value is None else value.encode() for value in values]
    return binary_column(raw).view(pa.string())
