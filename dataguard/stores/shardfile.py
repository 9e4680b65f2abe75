"""The file of a shard: what a worker found, as Parquet, for the caller to read once and remove."""

from __future__ import annotations

import os
import secrets
from array import array
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from dataguard.core.columns import (
    array_column,
    content_of,
    fixed_bytes,
    flag_column,
    joined,
    joined_column,
    joined_fixed_column,
    letter_column,
    numbers,
    values_of,
)
from dataguard.errors import StoreUnreachableError
from dataguard.stores.localunit import STAT_COLUMNS, Columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dataguard.model.digest import Algorithm

__all__ = ["ShardFile", "fill", "read_file", "take_rows", "write_file"]

_TYPES = {"q": pa.int64(), "i": pa.int32()}


class ShardFile(NamedTuple):
    """A file by its name in the directory of shards, and the XXH3 of its bytes."""

    name: str
    digest: bytes


def take_rows(found: Sequence[Columns], algorithms: Sequence[Algorithm]) -> pa.RecordBatch:
    """Return the rows of columns, one after another, and empty what they were taken from."""
    rows = joined([_rows(one, algorithms) for one in found])
    for one in found:
        one.paths, one.lengths, one.kinds, one.stats = b"", array("i"), b"", {}
        one.racy, one.digested, one.digests = b"", b"", ()
    return rows


def fill(columns: Columns, rows: pa.RecordBatch, algorithms: Sequence[Algorithm]) -> None:
    """Put rows into the columns that they were taken from; the inverse of `take_rows`."""
    paths, lengths = values_of(rows.column("path"))
    columns.paths, columns.lengths = bytes(paths), array("i", lengths.tobytes())
    columns.kinds = bytes(content_of(rows.column("kind")))
    columns.stats = {
        name: array(code, numbers(rows.column(name)).tobytes())
        for name, code in STAT_COLUMNS.items()
    }
    columns.racy = numbers(rows.column("racy")).tobytes()
    columns.digested = numbers(rows.column("digested")).tobytes()
    columns.digests = tuple(bytes(fixed_bytes(rows.column(str(one)))) for one in algorithms)


def write_file(rows: pa.RecordBatch, directory: str) -> ShardFile:
    """Write rows to a new file, which gets its name once it is complete.

    Raises:
        OSError: it cannot be written there.
    """
    sink = pa.BufferOutputStream()
    # Read once and soon: packing it would cost more than it saves.
    options = {"compression": "NONE", "use_dictionary": False, "write_statistics": False}
    pq.write_table(pa.Table.from_batches([rows]), sink, **options)
    data = sink.getvalue()
    # Of a task that is done twice, each has its own file: only one of them is told of.
    name = f"{secrets.token_hex(12)}.parquet"
    path = os.path.join(directory, name)
    with open(f"{path}.new", "xb") as file:
        file.write(data)
    os.rename(f"{path}.new", path)
    return ShardFile(name, xxhash.xxh3_128_digest(data))


def read_file(file: ShardFile, directory: str) -> pa.RecordBatch:
    """Return the rows of a file, and remove it.

    Raises:
        StoreUnreachableError: it is not there, or not as it was written.
    """
    path = os.path.join(directory, file.name)
    try:
        with open(path, "rb") as stream:
            data = stream.read()
        os.unlink(path)
    except OSError as err:
        raise StoreUnreachableError(f"cannot read the shard {path}: {err.strerror}") from err
    if xxhash.xxh3_128_digest(data) != file.digest:
        raise StoreUnreachableError(
            f"the shard {path} is not what its worker wrote",
            hint="look at the file system that holds the home; run the command again",
        )
    table = pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


def _rows(columns: Columns, algorithms: Sequence[Algorithm]) -> pa.RecordBatch:
    count = len(columns.lengths)
    made = {
        "path": joined_column(columns.paths, columns.lengths),
        "kind": letter_column(columns.kinds),
        "racy": flag_column(columns.racy),
        "digested": flag_column(columns.digested),
    }
    for name, code in STAT_COLUMNS.items():
        made[name] = array_column(columns.stats.get(name, array(code)), _TYPES[code])
    for values, algorithm in zip(columns.digests, algorithms, strict=True):
        made[str(algorithm)] = joined_fixed_column(
            values, algorithm.digest_bytes, known=bytes((1,)) * count
        )
    return pa.RecordBatch.from_arrays(list(made.values()), names=list(made))
