"""Work on local trees for a cluster: units in shards, results as files beside the manifests.

A task of a cluster costs milliseconds, and its result would pass through the scheduler. So a task
is a shard of several units, and what it found is written by the worker to a directory next to the
manifests, where the caller reads it. A worker that cannot write there sends it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import tempfile
from typing import TYPE_CHECKING, TypeVar, cast

from dataguard.errors import StoreUnreachableError
from dataguard.model.dataclass import dataclass
from dataguard.stores.localread import read_unit
from dataguard.stores.localunit import Columns, Leaf, Segment, Unit
from dataguard.stores.shardfile import ShardFile, fill, read_file, take_rows, write_file
from dataguard.stores.shelf import PARTIAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pyarrow as pa

    from dataguard.stores.interface import Spread

    _More = Callable[[Unit, Columns], Iterable[Unit]]

__all__ = ["SHARD_ENTRIES", "Shard", "ShardedSpread", "read_shard"]

AnyUnit = TypeVar("AnyUnit")
Result = TypeVar("Result")

SHARD_ENTRIES = 4096
"""Files from 4 MiB on are shards of their own, so a shard holds less than 16 GiB of others."""

_BYTES_PER_NAME = 24
"""What a name takes in the listing of a directory, as long as nobody knows better."""

_MARGIN = 1.1

_ROWS_TO_SEND = 256
"""So few rows go with the answer."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Units of one tree for one task. `inode` is the root's; `directory` is where results go."""

    units: tuple[Unit, ...]
    inode: int
    directory: str


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in each unit of a shard; the rows are in the file if there is one."""

    columns: tuple[Columns, ...]
    counts: tuple[int, ...]
    file: ShardFile | None


class ShardedSpread:
    """Spreads the units of local trees in shards; other work as it comes."""

    def __init__(self, spread: Spread, home: str) -> None:
        self._spread = spread
        self._manifests = os.path.join(home, "manifests")

    def __call__(
        self,
        task: Callable[[AnyUnit], Result],
        units: Iterable[AnyUnit],
        more: Callable[[AnyUnit, Result], Iterable[AnyUnit]] | None = None,
        /,
    ) -> Iterator[tuple[AnyUnit, Result]]:
        """Yield each unit with `task(unit)`, in order, each followed by what it left over.

        Raises:
            StoreUnreachableError: a worker does not see the tree, or a result cannot be read.
        """
        if cast("object", task) is not read_unit:
            return self._spread(task, units, more)
        found = self._sharded(cast("Iterable[Unit]", units), cast("_More | None", more))
        return cast("Iterator[tuple[AnyUnit, Result]]", found)

    def _sharded(self, units: Iterable[Unit], more: _More | None) -> Iterator[tuple[Unit, Columns]]:
        with _directory(self._manifests) as directory:
            density = _Density()
            shards = _shards(units, directory, density)
            answers = self._spread(read_shard, shards, _left_over(more))
            for shard, found in answers:
                density.learn(shard, found)
                for unit, columns in _read(shard, found):
                    yield unit, columns
                    for _ in more(unit, columns) if more is not None else ():
                        yield from _read(*next(answers))


def read_shard(shard: Shard) -> Found:
    """Read the units of a shard; the task that workers do.

    Raises:
        StoreUnreachableError: this host does not have the same tree at this path.
    """
    _check_sight(shard)
    columns = tuple(read_unit(unit) for unit in shard.units)
    counts = tuple(len(one.lengths) for one in columns)
    if not shard.directory or sum(counts) <= _ROWS_TO_SEND:
        return Found(columns, counts, None)
    return _written(columns, counts, shard)


def _written(columns: tuple[Columns, ...], counts: tuple[int, ...], shard: Shard) -> Found:
    algorithms = shard.units[0].algorithms
    rows = take_rows(columns, algorithms)
    try:
        file = write_file(rows, shard.directory)
    except OSError:  # this host does not share the home, or may not write there
        _fill(columns, counts, rows, shard)
        return Found(columns, counts, None)
    return Found(columns, counts, file)


def _read(shard: Shard, found: Found) -> Iterator[tuple[Unit, Columns]]:
    """Yield the units of a shard with all that was found."""
    if found.file is not None:
        _fill(found.columns, found.counts, read_file(found.file, shard.directory), shard)
    yield from zip(shard.units, found.columns, strict=True)


def _fill(
    columns: tuple[Columns, ...], counts: tuple[int, ...], rows: pa.RecordBatch, shard: Shard
) -> None:
    position = 0
    for one, count in zip(columns, counts, strict=True):
        fill(one, rows.slice(position, count), shard.units[0].algorithms)
        position += count


class _Density:
    """How many entries directories have that nobody listed yet, from those that were read."""

    def __init__(self) -> None:
        self._listed_bytes = self._entries = 0

    def learn(self, shard: Shard, found: Found) -> None:
        """Take what was found in a shard."""
        for unit, count in zip(shard.units, found.counts, strict=True):
            self._listed_bytes += _listing_bytes(unit)
            self._entries += max(0, count - _names(unit))

    def entries(self, unit: Unit) -> int:
        """Return how many entries a unit has, rather too many than too few."""
        listed = _listing_bytes(unit)
        if not self._listed_bytes:
            return _names(unit) + listed // _BYTES_PER_NAME
        return _names(unit) + int(_MARGIN * listed * self._entries / self._listed_bytes)


def _listing_bytes(unit: Unit) -> int:
    return sum(part.listing_bytes for part in unit.parts if isinstance(part, Leaf))


def _names(unit: Unit) -> int:
    return sum(len(part.names) for part in unit.parts if isinstance(part, Segment))


def _shards(units: Iterable[Unit], directory: str, density: _Density) -> Iterator[Shard]:
    """Put neighbouring units together as far as they fit; all are of one tree."""
    held: list[Unit] = []
    entries = inode = 0
    for unit in units:
        inode = inode or _inode(unit.root)
        count = density.entries(unit)
        if held and entries + count > SHARD_ENTRIES:
            yield Shard(tuple(held), inode, directory)
            held, entries = [], 0
        held.append(unit)
        entries += count
    if held:
        yield Shard(tuple(held), inode, directory)


def _left_over(more: _More | None) -> Callable[[Shard, Found], Iterable[Shard]] | None:
    if more is None:
        return None

    def left_over(shard: Shard, found: Found) -> Iterator[Shard]:
        for unit, columns in zip(shard.units, found.columns, strict=True):
            for left in more(unit, columns):
                yield Shard((left,), shard.inode, shard.directory)

    return left_over


def _inode(root: str) -> int:
    try:
        return os.stat(root).st_ino
    except OSError as err:
        raise StoreUnreachableError(f"cannot look at {root}: {err.strerror}") from err


def _check_sight(shard: Shard) -> None:
    """Make sure that this host has the same tree at this path.

    What a shared file system says the same on every host is the number of an inode. Where the
    tree is not mounted there is nothing, or the empty directory below; both would else be
    reported as the loss of every file.
    """
    root, host = shard.units[0].root, socket.gethostname()
    hint = f"mount the file system that holds it there, at the same path: ls -di {root}"
    try:
        inode = os.stat(root).st_ino
    except OSError as err:
        said = f"the worker on {host} cannot see {root}: {err.strerror}"
        raise StoreUnreachableError(said, hint=hint) from err
    if inode != shard.inode:
        raise StoreUnreachableError(f"the worker on {host} has something else at {root}", hint=hint)


@contextlib.contextmanager
def _directory(manifests: str) -> Iterator[str]:
    """Give a new directory for results, locked as drafts are; none where it cannot be made."""
    try:
        os.makedirs(manifests, exist_ok=True)
        path = tempfile.mkdtemp(prefix=PARTIAL, dir=manifests)
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # results are sent then
        yield ""
        return
    try:
        with contextlib.suppress(OSError):  # no locks there: `catalog check` may call it abandoned
            fcntl.flock(lock, fcntl.LOCK_SH)
        yield path
    finally:
        os.close(lock)
        shutil.rmtree(path, ignore_errors=True)
