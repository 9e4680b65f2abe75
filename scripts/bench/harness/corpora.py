"""Corpora of files that are the same on every machine, made from a seed and kept for the next time.

Bytes come from one seeded pool: each file is a slice of it behind a header that no other file has,
so that no two files are equal and nothing compresses. The Parquet shards are the same for one
version of pyarrow.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Corpus", "Kind", "Shape", "corpus", "make", "place", "shape", "tree_bytes"]

SEED = 3
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
POOL_BYTES = 64 * MIB
HEADER_BYTES = 16
SPLIT = 50
"""Directories of the second level in one of the first."""

FORMAT = 1
"""Grows when the same parameters give other bytes, so that kept corpora are made anew."""


class Kind(StrEnum):
    """The corpora, by the names that the questions use."""

    S = "S"
    T = "T"
    W = "W"
    L = "L"
    P = "P"
    M = "M"
    C20 = "c20"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Shape:
    """How many files of which sizes a corpus has; a directory of the lowest level holds `fan`."""

    files: int
    smallest: int
    largest: int
    fan: int

    def scaled(self, scale: float) -> Shape:
        """Return the shape with that part of the bytes: fewer files, or smaller ones of few."""
        if self.smallest < GIB:
            return Shape(round(self.files * scale), self.smallest, self.largest, self.fan)
        size = max(round(self.smallest * scale), HEADER_BYTES)
        return Shape(self.files, size, size, self.fan)


SHAPES = {
    Kind.S: Shape(100_000, 4 * KIB, 32 * KIB, 200),
    Kind.T: Shape(200_000, 100, 2_000, 200),
    Kind.W: Shape(200_000, 4 * KIB, 32 * KIB, 200),
    Kind.L: Shape(4, GIB, GIB, 2),
    Kind.P: Shape(200, 8 * MIB, 8 * MIB, 200),
    Kind.M: Shape(1_000_000, 50, 400, 500),
    Kind.C20: Shape(20_000, 4 * KIB, 32 * KIB, 200),
    Kind.EMPTY: Shape(0, 0, 0, 1),
}


@dataclass(frozen=True, slots=True)
class Corpus:
    """A tree that is there, complete."""

    kind: Kind
    root: Path
    files: int


def shape(kind: Kind, scale: float) -> Shape:
    """Return what a corpus has at this scale."""
    return SHAPES[kind].scaled(scale)


@contextlib.contextmanager
def place(given: Path | None) -> Iterator[Path]:
    """Yield the directory to work in; one that nobody gave is removed at the end."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="dataguard-bench-") as made:
        yield Path(made)


def corpus(kind: Kind, directory: Path, *, scale: float = 1.0, seed: int = SEED) -> Corpus:
    """Return a corpus in the directory, made unless it is there.

    A marker beside it says with what it was made; it is written before the tree gets its name, so a
    tree with a marker is complete.

    Raises:
        SystemExit: the directory has something of that name that was not made here.
    """
    wanted = shape(kind, scale)
    root = directory / (kind if scale == 1 else f"{kind}-{scale:g}")
    marker = root.with_name(f"{root.name}.corpus.json")
    parameters = {"format": FORMAT, "kind": kind, "scale": scale, "seed": seed}
    if root.exists():
        refuse_foreign(root, marker)
        if json.loads(marker.read_text()) == parameters:
            return Corpus(kind, root, wanted.files)
        shutil.rmtree(root)
    partial = root.with_name(f"{root.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    make(kind, wanted, partial, seed=seed)
    os.sync()
    marker.write_text(json.dumps(parameters))
    partial.rename(root)
    return Corpus(kind, root, wanted.files)


def refuse_foreign(root: Path, marker: Path) -> None:
    """Stop rather than measure, or remove, a tree that the marker does not vouch for."""
    if not marker.exists():
        raise SystemExit(
            f"{root} is there, but no {marker.name} beside it says that it is a corpus\n"
            "hint: give another --directory"
        )


def make(kind: Kind, wanted: Shape, root: Path, *, seed: int = SEED) -> None:
    """Write the files of a corpus into a new directory; the same arguments give the same bytes."""
    root.mkdir(parents=True)
    for number, directory in enumerate(directories(kind, wanted, root)):
        directory.mkdir(parents=True, exist_ok=True)
        first = number * wanted.fan
        names = range(first, min(first + wanted.fan, wanted.files))
        chance = random.Random(f"{seed}/{kind}/{number}")
        match kind:
            case Kind.P:
                write_shards(directory, names, wanted, chance, seed)
            case Kind.L:
                write_large(directory, names, wanted, chance, seed)
            case _:
                write_small(directory, names, wanted, chance, seed)


def directories(kind: Kind, wanted: Shape, root: Path) -> Iterator[Path]:
    """Yield the directories that hold files: two levels for many, one for few, flat for shards."""
    for number in range(-(-wanted.files // wanted.fan)):
        if kind is Kind.P:
            yield root
        elif kind is Kind.L:
            yield root / f"pair-{number}"
        else:
            yield root / f"group-{number // SPLIT:03d}" / f"n{number:06d}"


def write_small(
    directory: Path, names: range, wanted: Shape, chance: random.Random, seed: int
) -> None:
    """Write one slice of the pool for each file."""
    bytes_of = pool(seed)
    where = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for number in names:
            size = chance.randint(wanted.smallest, wanted.largest)
            start = chance.randrange(POOL_BYTES - size)
            name = f"{directory.name}_{number:07d}.bin"
            file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=where)
            try:
                body = bytes_of[start : start + size - HEADER_BYTES]
                os.writev(file, (header(number), body))
            finally:
                os.close(file)
    finally:
        os.close(where)


def write_large(
    directory: Path, names: range, wanted: Shape, chance: random.Random, seed: int
) -> None:
    """Write each file as slices of a mebibyte, every slice behind a header of its own."""
    for number in names:
        with (directory / f"large_{number}.bin").open("xb", buffering=0) as file:
            left = wanted.smallest
            while left:
                file.write(header(number * (1 << 30) + left)[:left])
                left -= min(HEADER_BYTES, left)
                size = min(MIB - HEADER_BYTES, left)
                start = chance.randrange(POOL_BYTES - size)
                file.write(pool(seed)[start : start + size])
                left -= size


def write_shards(
    directory: Path, names: range, wanted: Shape, chance: random.Random, seed: int
) -> None:
    """Write Parquet files with one column of records of a kibibyte."""
    import pyarrow as pa  # noqa: PLC0415 - only the shards need it, and it takes a while
    import pyarrow.parquet as pq  # noqa: PLC0415

    rows = wanted.smallest // KIB
    for number in names:
        start = chance.randrange(POOL_BYTES - wanted.smallest)
        body = header(number) + pool(seed)[start : start + rows * KIB - HEADER_BYTES]
        column = pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(KIB), rows, [None, pa.py_buffer(body)]
        )
        pq.write_table(
            pa.table({"record": column}),
            directory / f"shard-{number:05d}.parquet",
            compression="none",
            use_dictionary=False,
            write_statistics=False,
        )


def header(number: int) -> bytes:
    """Return the bytes by which a file differs from all others."""
    return b"%0*d" % (HEADER_BYTES, number)


@cache
def pool(seed: int) -> memoryview:
    """Return the bytes that files are cut from."""
    return memoryview(random.Random(seed).randbytes(POOL_BYTES))


def tree_bytes(directory: Path) -> int:
    """Return the size of all files below a directory."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
