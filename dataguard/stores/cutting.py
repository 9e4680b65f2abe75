"""Cuts files into chunks: the task that workers carry out, one file at a time."""

from __future__ import annotations

import os
from array import array
from typing import TYPE_CHECKING

import xxhash

from dataguard.core.chunkmatch import Chunks
from dataguard.core.chunks import CHUNKING, Cutter, is_plain
from dataguard.core.numeric import np
from dataguard.model.dataclass import dataclass
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.stores.descent import Descent
from dataguard.stores.hashing import new_hash
from dataguard.stores.obstacles import unreadable
from dataguard.stores.openfile import forget, is_cold, open_file
from dataguard.stores.pace import pace_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.model.digest import Algorithm

__all__ = ["CutFile", "CutUnit", "cut_file", "signature"]

_PIECE = 1 << 18


@dataclass(frozen=True, slots=True)
class CutUnit:
    """A file to cut, by its path below a place; `algorithm` where its digest is wanted too.

    A worker reads no more than `rate` bytes a second, where it is not 0.
    """

    place: str
    path: bytes
    algorithm: Algorithm | None = None
    rate: int = 0


@dataclass(frozen=True, slots=True)
class CutFile:
    """The chunks of a file that say something, its digest if wanted, what `stat` said of it.

    `state` is as `signature` has it.
    """

    chunks: Chunks
    digest: bytes
    state: tuple[int, ...]


def cut_file(unit: CutUnit) -> CutFile | Unreadable:
    """Read a file and cut it.

    Left out are chunks that repeat a few bytes, and a last one that is shorter than any other may
    be: whoever has those in common has nothing of gold.
    """
    directory, _, name = unit.path.rpartition(b"/")
    try:
        below = Descent(unit.place)
        try:
            descriptor = open_file(name, below.open(directory))
        finally:
            below.close()
        try:
            return _cut(descriptor, unit)
        finally:
            os.close(descriptor)
    except OSError as err:
        return unreadable(unit.path, err)


def signature(descriptor: int) -> tuple[int, ...]:
    """Return what changes with a file's content: size, mtime, ctime and inode.

    Raises:
        OSError: the file system does not answer.
    """
    found = os.fstat(descriptor)
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _cut(descriptor: int, unit: CutUnit) -> CutFile | Unreadable:
    before, cold = signature(descriptor), is_cold(descriptor)
    digests, offsets, lengths = array("Q"), array("q"), array("q")
    pace = pace_of(unit.rate)
    taken = None if unit.algorithm is None else new_hash(unit.algorithm)()
    for offset, data in _chunks(descriptor):
        if pace is not None:
            pace.keep()
        if taken is not None:
            taken.update(memoryview(data))
        if len(data) >= CHUNKING.least and not is_plain(data):
            digests.append(xxhash.xxh3_64_intdigest(data))
            offsets.append(offset)
            lengths.append(len(data))
    if cold:
        forget(descriptor)
    if signature(descriptor) != before:
        return Unreadable(unit.path, Obstacle.UNSTABLE, "")
    chunks = Chunks(
        np.frombuffer(digests, np.uint64),
        np.frombuffer(offsets, np.int64),
        np.frombuffer(lengths, np.int64),
    )
    return CutFile(chunks, b"" if taken is None else taken.digest(), before)


def _chunks(descriptor: int) -> Iterator[tuple[int, bytes]]:
    """Yield offset and bytes of each chunk."""
    cutter, rest, start = Cutter(CHUNKING), b"", 0
    while piece := os.read(descriptor, _PIECE):
        data, base = rest + piece, start
        for end in cutter.cut(piece):
            yield start, data[start - base : end - base]
            start = end
        rest = data[start - base :]
    if rest:
        yield start, rest
