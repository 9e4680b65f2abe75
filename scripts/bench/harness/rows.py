"""Write a manifest and its location sheet of many made-up rows into a home, and record it.

    python -m harness.rows HOME ROWS VERSION [LEAST]

Files have LEAST bytes (4 KiB) or up to 28 KiB more. Rows are those of a tree with 500 files in a
directory, written one after the other: times and inodes grow with the path. Version 2 differs from
1 in one row of 5,000: half of these have another digest, a quarter is missing, a quarter is new.
Prints what it wrote as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from dataguard.catalog.repository import Catalog
from dataguard.model.dataset import Registration
from dataguard.model.digest import Algorithm, DigestPlan
from dataguard.model.schema import ROWS_PER_GROUP, observed_schema
from dataguard.sandbox.processes import current_actor
from dataguard.stores.manifests import ManifestStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from dataguard.stores.draft import Published

__all__ = ["REMOVED_OR_ADDED", "expected_changes", "rows"]

ALGORITHM = Algorithm.XXH3_128
FAN = 500
TEMPLATE = b"part-000/n000000/image_0000000000.jpg"
FIELDS = ((5, 8), (10, 16), (23, 33))
"""Where the digits of the directories and of the file are in a path."""

CHANGED = 10_000
REMOVED_OR_ADDED = 20_000
FIRST_NS = 1_700_000_000_000_000_000
LEAST = 4096
SPREAD = 28_672
STEP_NS = 1_000_000
"""From one file to the next, with up to half of that added; then some microseconds to close it."""


def rows(count: int, version: int, least: int = LEAST) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a version in path order, with the columns of a scan.

    Both versions have gaps in the same numbering, at other places: what the one lacks is removed
    in, or added to, the other.
    """
    for first in range(0, count, ROWS_PER_GROUP):
        numbers = np.arange(first, min(first + ROWS_PER_GROUP, count), dtype=np.int64)
        present = numbers[numbers % REMOVED_OR_ADDED != version]
        yield batch(present, version, least)


def expected_changes(count: int) -> int:
    """Return in how many paths the two versions differ."""
    lacking = sum(len(range(version, count, REMOVED_OR_ADDED)) for version in (1, 2))
    return lacking + len(range(0, count, CHANGED))


def batch(numbers: NDArray[np.int64], version: int, least: int = LEAST) -> pa.RecordBatch:
    """Return rows of these numbers; a row is the same wherever a batch begins."""
    chance = scrambled(numbers)
    mtime = FIRST_NS + numbers * STEP_NS + (chance & np.uint64(0x7FFFF)).astype(np.int64)
    ctime = mtime + 1_000 + (chance >> np.uint64(40) & np.uint64(0xFFF)).astype(np.int64)
    size = least + (chance >> np.uint64(20)).astype(np.int64) % SPREAD
    digest = np.stack([chance, scrambled(numbers + (1 << 40))], axis=1)
    if version != 1:
        digest[numbers % CHANGED == 0] ^= np.uint64(1)
    length = len(numbers)
    columns = {
        "path": paths(numbers),
        "path_raw": pa.nulls(length, pa.binary()),
        "kind": repeated("f", length),
        "size": integers(size),
        "digest": pa.Array.from_buffers(pa.binary(16), length, [None, pa.py_buffer(digest)]),
        "link_target": pa.nulls(length, pa.binary()),
        "mtime_ns": integers(mtime),
        "ctime_ns": integers(ctime),
        "inode": integers(numbers + 1_000_000),
        "mode": repeated(0o100644, length),
        "uid": repeated(1000, length),
        "gid": repeated(1000, length),
        "racy": repeated(False, length),
        "nlink": repeated(1, length),
    }
    schema = observed_schema(ALGORITHM)
    arrays = [columns[field.name].cast(field.type) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def scrambled(numbers: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return 64 bits for each number that look random: splitmix64's finalizer."""
    bits = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: NDArray[np.uint64] = bits ^ (bits >> np.uint64(31))
    return result


def paths(numbers: NDArray[np.int64]) -> pa.Array:
    """Return the path of each number, all of one length."""
    text = np.tile(np.frombuffer(TEMPLATE, np.uint8), (len(numbers), 1))
    directory = numbers // FAN
    for (start, end), values in zip(FIELDS, (directory // 100, directory, numbers), strict=True):
        for place in range(start, end):
            text[:, place] = ord("0") + values // 10 ** (end - 1 - place) % 10
    offsets = np.arange(len(numbers) + 1, dtype=np.int32) * len(TEMPLATE)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(text)]
    return pa.Array.from_buffers(pa.string(), len(numbers), buffers)


def integers(values: NDArray[np.int64]) -> pa.Array:
    """Return numbers as a column."""
    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(values)])


def repeated(value: object, length: int) -> pa.Array:
    """Return a column that has one value everywhere."""
    return pa.repeat(pa.scalar(value), length)


def write(home: str, count: int, version: int, least: int) -> Published:
    """Write the files of a version and record it in the home's catalog, in place of another."""
    with ManifestStore(home).draft(DigestPlan(ALGORITHM)) as draft:
        for rows_of_group in rows(count, version, least):
            draft.add(rows_of_group)
        published = draft.publish()
    record(home, published, version)
    return published


def record(home: str, published: Published, version: int) -> None:
    """Register a published manifest as a version of `bench`."""
    actor = current_actor()
    wanted = Registration(
        dataset="bench",
        root=published.root,
        algorithm=ALGORITHM,
        entries=published.entries,
        files=published.files,
        bytes=published.bytes,
        place=f"/nowhere/{version}",
        sheet=published.sheet,
        filesystem=None,
        owner=actor.user,
    )
    catalog = Catalog.open(
        f"sqlite:///{os.path.join(home, 'catalog.db')}",
        events=os.path.join(home, "events"),
        clock=lambda: datetime.now(UTC),
        actor=actor,
    )
    with catalog, catalog.transaction() as tx:
        tx.register(wanted)


def main() -> None:
    """Write one version and print what it came to."""
    home, count, version = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    least = int(sys.argv[4]) if len(sys.argv) > 4 else LEAST
    os.makedirs(home, exist_ok=True)
    begun = time.perf_counter()
    published = write(home, count, version, least)
    store = ManifestStore(home)
    manifest = store.manifest_path(published.root)
    record_of = {
        "rows": published.entries,
        "root": str(published.root),
        "manifest": manifest,
        "manifest_bytes": os.path.getsize(manifest),
        "sheet_bytes": os.path.getsize(store.sheet_path(published.root, published.sheet)),
        "seconds": time.perf_counter() - begun,
    }
    print(json.dumps(record_of))


if __name__ == "__main__":
    main()
