"""The task that workers do on a local tree: stat and hash the entries of a unit.

Imports little, so that a worker starts fast: no Arrow, no numpy.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, cast

import xxhash

from dataguard.errors import UsageError
from dataguard.model.digest import Algorithm
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.stores.descent import Descent
from dataguard.stores.walk import Segment, obstacle_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Columns", "Hash", "Unit", "new_hash", "read_unit"]

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_WHOLE = 1 << 20
"""Files up to this size are read with one call, larger ones through a buffer of this size."""

_LARGE = 4 << 20
"""Files from this size on are units of their own, so that one directory keeps all cores busy."""

_SECOND_NS = 1_000_000_000
_TRIES = 3
_STAT_COLUMNS = ("size", "mtime_ns", "ctime_ns", "inode", "mode", "uid", "gid", "nlink")


@dataclass(frozen=True, slots=True)
class Unit:
    """Entries to stat, and to hash where `read`, below the directory `root`.

    `tick_ns` is the granularity of the file system's timestamps. With `hand_back` large files are
    not read but named in the result. `unreadable` is what the walk could not read at this place;
    it rides along.
    """

    root: str
    segments: tuple[Segment, ...]
    algorithms: tuple[Algorithm, ...]
    read: bool
    tick_ns: int
    hand_back: bool = False
    unreadable: tuple[Unreadable, ...] = ()


@dataclass(slots=True)
class Columns:
    """What was found, as columns with one value for each entry that could be read.

    `kept` are the positions of these entries in the unit, `large` those of files handed
    back. `digests` has one list of values for each algorithm of the unit; None where a file was
    not read.
    """

    kept: array[int] = field(default_factory=lambda: array("q"))
    kinds: bytearray = field(default_factory=bytearray)
    stats: dict[str, array[int]] = field(
        default_factory=lambda: {name: array("q") for name in _STAT_COLUMNS}
    )
    racy: bytearray = field(default_factory=bytearray)
    digests: tuple[list[bytes | None], ...] = ()
    links: dict[int, bytes] = field(default_factory=dict)
    unreadable: list[Unreadable] = field(default_factory=list)
    large: list[int] = field(default_factory=list)
    files_read: int = 0
    bytes_read: int = 0


@dataclass(frozen=True, slots=True)
class _How:
    """How entries of a unit are read.

    Files of at least `large` bytes are handed back. A change time at or after `horizon` is racy;
    so is one of whole seconds at or after `coarse_horizon`, whatever the file system promises.
    """

    hashes: tuple[Callable[[], Hash], ...]
    zeros: tuple[bytes, ...]
    read: bool
    large: int | None
    horizon: int | None
    coarse_horizon: int


class Hash(Protocol):
    """A digest in the making."""

    def update(self, data: memoryview, /) -> object:
        """Take more bytes."""

    def digest(self) -> bytes:
        """Return the digest of what was taken."""


class _UnstableError(OSError):
    """A file changed while it was being read."""


def read_unit(unit: Unit) -> Columns:
    """Return the columns of a unit. What cannot be read is listed, never raised.

    Raises:
        UsageError: an algorithm needs a library that is not installed.
    """
    found = Columns(digests=tuple([] for _ in unit.algorithms))
    how = _How(
        hashes=tuple(new_hash(algorithm) for algorithm in unit.algorithms),
        zeros=tuple(bytes(algorithm.digest_bytes) for algorithm in unit.algorithms),
        read=unit.read,
        large=_LARGE if unit.hand_back else None,
        horizon=time.time_ns() - unit.tick_ns if unit.tick_ns else None,
        coarse_horizon=time.time_ns() - 2 * _SECOND_NS,
    )
    position = 0
    try:
        descent = Descent(unit.root)
    except OSError as err:
        found.unreadable.append(Unreadable(b"", obstacle_of(err), _words(err)))
        return found
    with descent:
        for segment in unit.segments:
            try:
                directory = descent.open(segment.directory)
            except OSError as err:
                found.unreadable.append(
                    Unreadable(segment.directory, obstacle_of(err), _words(err))
                )
                position += len(segment.names)
                continue
            reader = _Reader(found, directory, how)
            for name in segment.names:
                _take(reader, segment.directory, name, position)
                position += 1
    return found


def _take(reader: _Reader, directory: bytes, name: bytes, position: int) -> None:
    for attempt in range(_TRIES):
        try:
            reader.entry(name, position)
        except _UnstableError as err:
            obstacle, detail = Obstacle.UNSTABLE, str(err)
            time.sleep(0.01 * 4**attempt)
        except OSError as err:
            obstacle, detail = obstacle_of(err), _words(err)
            break
        else:
            return
    path = directory + b"/" + name if directory else name
    reader.found.unreadable.append(Unreadable(path, obstacle, detail))


class _Reader:
    """Reads entries of one open directory into columns."""

    def __init__(self, found: Columns, directory: int, how: _How) -> None:
        self.found = found
        self._directory = directory
        self._how = how

    def entry(self, name: bytes, position: int) -> None:
        """Stat and hash one entry.

        Raises:
            OSError: it cannot be read; nothing of it was recorded.
        """
        if self._how.read:
            try:
                descriptor = _open(name, self._directory)
            except OSError as err:
                if not _may_be_no_file(err):
                    raise
            else:
                try:
                    if self._opened(descriptor, position):
                        return
                finally:
                    os.close(descriptor)
        self._closed(name, position)

    def _opened(self, descriptor: int, position: int) -> bool:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            return False
        if self._how.large is not None and before.st_size >= self._how.large:
            self.found.large.append(position)
            return True
        digests = self._hash(descriptor, before.st_size)
        after = os.fstat(descriptor)
        if after.st_ctime_ns != before.st_ctime_ns or after.st_size != before.st_size:
            raise _UnstableError("its times or size changed between two looks")
        self._record(position, ord("f"), before, before.st_size, digests)
        self.found.files_read += 1
        self.found.bytes_read += before.st_size
        return True

    def _closed(self, name: bytes, position: int) -> None:
        """Record an entry that is not read: links, directories, files of a metadata scan."""
        status = os.stat(name, dir_fd=self._directory, follow_symlinks=False)
        if stat.S_ISREG(status.st_mode):
            if self._how.read:
                raise _UnstableError("it became a file between two looks")
            self._record(
                position, ord("f"), status, status.st_size, (None,) * len(self._how.hashes)
            )
        elif stat.S_ISLNK(status.st_mode):
            target = os.readlink(name, dir_fd=self._directory)
            self.found.links[len(self.found.kept)] = target
            digests = tuple(_digest_of(new, target) for new in self._how.hashes)
            self._record(position, ord("l"), status, len(target), digests)
        elif stat.S_ISDIR(status.st_mode):
            self._record(position, ord("d"), status, 0, self._how.zeros)
        else:
            raise _UnstableError("it became a special file between two looks")

    def _hash(self, descriptor: int, size: int) -> tuple[bytes, ...]:
        if size <= _WHOLE:
            data = os.read(descriptor, size + 1)
            if len(data) == size:
                return tuple([_digest_of(new, data) for new in self._how.hashes])
            os.lseek(descriptor, 0, os.SEEK_SET)  # some file systems return less than is there
        return _hash_in_pieces(descriptor, size, tuple(new() for new in self._how.hashes))

    def _record(
        self,
        position: int,
        kind: int,
        status: os.stat_result,
        size: int,
        digests: tuple[bytes | None, ...],
    ) -> None:
        found, stats, horizon = self.found, self.found.stats, self._how.horizon
        found.kept.append(position)
        found.kinds.append(kind)
        stats["size"].append(size)
        stats["mtime_ns"].append(status.st_mtime_ns)
        stats["ctime_ns"].append(status.st_ctime_ns)
        stats["inode"].append(_signed(status.st_ino))
        stats["mode"].append(status.st_mode)
        stats["uid"].append(status.st_uid)
        stats["gid"].append(status.st_gid)
        stats["nlink"].append(1 if kind == ord("d") else status.st_nlink)
        changed = status.st_ctime_ns
        racy = horizon is not None and changed >= horizon
        coarse = changed % _SECOND_NS == 0 and changed >= self._how.coarse_horizon
        found.racy.append(racy or coarse)
        for column, digest in zip(found.digests, digests, strict=True):
            column.append(digest)


def _hash_in_pieces(descriptor: int, size: int, hashes: tuple[Hash, ...]) -> tuple[bytes, ...]:
    buffer = bytearray(_WHOLE)
    view = memoryview(buffer)
    total = 0
    while count := os.readv(descriptor, [buffer]):
        total += count
        for one in hashes:
            one.update(view[:count])
        if total > size:
            break
    if total != size:
        raise _UnstableError(f"it holds {total} bytes, not {size}")
    return tuple([one.digest() for one in hashes])


def _open(name: bytes, directory: int) -> int:
    try:
        return os.open(name, _FLAGS | os.O_NOATIME, dir_fd=directory)
    except PermissionError as err:
        if err.errno != errno.EPERM:
            raise
        # O_NOATIME is for the owner alone: whoever may read may still read.
        return os.open(name, _FLAGS, dir_fd=directory)


def _may_be_no_file(err: OSError) -> bool:
    return err.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR)


def _digest_of(new: Callable[[], Hash], data: bytes) -> bytes:
    one = new()
    one.update(memoryview(data))
    return one.digest()


def new_hash(algorithm: Algorithm) -> Callable[[], Hash]:
    """Return what begins a digest of this algorithm.

    Raises:
        UsageError: it needs a library that is not installed.
    """
    if algorithm is Algorithm.XXH3_128:
        return xxhash.xxh3_128
    if algorithm is Algorithm.BLAKE3:
        try:
            from blake3 import blake3  # noqa: PLC0415  an extra
        except ImportError as err:
            raise UsageError(
                "blake3 is not installed", hint="pip install 'dataguard[blake3]'"
            ) from err
        return cast("Callable[[], Hash]", blake3)
    return lambda: hashlib.new(algorithm.value, usedforsecurity=False)


def _signed(inode: int) -> int:
    """Inode numbers are unsigned in the kernel and signed in a manifest column."""
    return inode - (1 << 64) if inode >= 1 << 63 else inode


def _words(err: OSError) -> str:
    return os.strerror(err.errno) if err.errno else str(err)
