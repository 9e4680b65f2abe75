"""Reading one entry with all care: links, directories, large files, and what moves meanwhile."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections import deque
from typing import TYPE_CHECKING

from dataguard.model.entry import Obstacle, Unreadable
from dataguard.stores.hashing import digester, new_hash
from dataguard.stores.localunit import Segment
from dataguard.stores.obstacles import unreadable
from dataguard.stores.openfile import fetch, forget, is_cold, open_file
from dataguard.stores.pace import pace_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dataguard.stores.gathered import Gathered
    from dataguard.stores.hashing import Hash
    from dataguard.stores.localunit import Unit
    from dataguard.stores.pace import Pace

__all__ = ["LARGE", "SlowReader"]

LARGE = 4 << 20
"""Files from this size on are units of their own, so that one directory keeps all cores busy."""

_PIECE = 1 << 19
"""Bytes read at a time: what is hashed is then still in the processor's cache."""

_AHEAD = 16 << 20
"""Bytes asked for at a time where a file has to come from the disk."""

_TRIES = 3


class _UnstableError(OSError):
    """A file changed while it was being read."""


class SlowReader:
    """Reads single entries into what was gathered, again where they changed meanwhile."""

    def __init__(self, found: Gathered, unit: Unit) -> None:
        self._found = found
        self._unit = unit
        self._digesters = tuple(digester(algorithm) for algorithm in unit.algorithms)

    def take(self, directory: int, path: bytes) -> None:
        """Read the last component of a path in its open directory."""
        name = path.rpartition(b"/")[2]
        for attempt in range(_TRIES):
            try:
                self._entry(directory, name, path)
            except _UnstableError as err:
                problem = Unreadable(path, Obstacle.UNSTABLE, str(err))
                time.sleep(0.01 * 4**attempt)
            except OSError as err:
                problem = unreadable(path, err)
                break
            else:
                return
        self._found.unreadable.append(problem)

    def _entry(self, directory: int, name: bytes, path: bytes) -> None:
        if self._unit.read:
            try:
                descriptor = open_file(name, directory)
            except OSError as err:
                if err.errno not in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
                    raise
            else:
                try:
                    if self._opened(descriptor, path):
                        return
                finally:
                    os.close(descriptor)
        self._closed(directory, name, path)

    def _opened(self, descriptor: int, path: bytes) -> bool:
        """Read an open file; False where it is something else."""
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            return False
        if self._unit.hand_back and before.st_size >= LARGE:
            parent, _, name = path.rpartition(b"/")
            self._found.large.append(Segment(parent, (name,)))
            return True
        digests = self._digests(descriptor, before.st_size)
        after = os.fstat(descriptor)
        if after.st_ctime_ns != before.st_ctime_ns or after.st_size != before.st_size:
            raise _UnstableError("its times or size changed between two looks")
        self._found.add(path, before, digests)
        self._found.bytes_read += before.st_size
        return True

    def _closed(self, directory: int, name: bytes, path: bytes) -> None:
        """Add an entry that is not read: links, directories, files of a metadata scan."""
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if stat.S_ISREG(status.st_mode):
            if self._unit.read:
                raise _UnstableError("it became a file between two looks")
            self._found.add_unread(path, status)
        elif stat.S_ISLNK(status.st_mode):
            target = os.readlink(name, dir_fd=directory)
            digests = tuple([digest(target) for digest in self._digesters])
            self._found.add_link(path, status, target, digests)
        elif stat.S_ISDIR(status.st_mode):
            self._found.add_directory(path, status)
        else:
            raise _UnstableError("it became a special file between two looks")

    def _digests(self, descriptor: int, size: int) -> tuple[bytes, ...]:
        hashes = tuple([new_hash(algorithm)() for algorithm in self._unit.algorithms])
        pace = pace_of(self._unit.rate)
        total = _take_pieces(descriptor, size, hashes, polite=self._unit.polite, pace=pace)
        if total != size:
            raise _UnstableError(f"it holds {total} bytes, not {size}")
        return tuple([one.digest() for one in hashes])


def _take_pieces(
    descriptor: int,
    size: int,
    hashes: tuple[Hash, ...],
    *,
    polite: bool,
    pace: Pace | None,
) -> int:
    """Feed a file to hashes and return how many bytes it held; stops soon after `size`."""
    buffer = bytearray(_PIECE)
    view = memoryview(buffer)
    total = 0
    brought = deque(_look_ahead(descriptor, 0, size, polite=polite))
    while count := os.readv(descriptor, [buffer]):
        if total % _AHEAD == 0:
            brought += _look_ahead(descriptor, total + _AHEAD, size, polite=polite)
        total += count
        if pace is not None:
            pace.keep()
        for one in hashes:
            one.update(view[:count])
        while brought and brought[0].stop <= total:
            _forget(descriptor, brought.popleft())
        if total > size:
            break
    for piece in brought:
        _forget(descriptor, piece)
    return total


def _look_ahead(descriptor: int, start: int, size: int, *, polite: bool) -> list[range]:
    """Have what is to be read next fetched; return the ranges to forget when they were read.

    Those are, where `polite`, what was not in memory. Else two looks are enough: where the
    beginning and the end are there, all is.
    """
    pieces = range(start, min(start + _AHEAD, size), _PIECE)
    asked = pieces if polite else pieces[:: max(1, len(pieces) - 1)]
    cold = [offset for offset in reversed(asked) if is_cold(descriptor, offset)]
    if cold:
        fetch(descriptor, start, _AHEAD)
    return _joined(reversed(cold)) if polite else []


def _joined(pieces: Iterable[int]) -> list[range]:
    """Join neighbours: the kernel keeps what it holds as one, of which a part is to be dropped."""
    found: list[range] = []
    for offset in pieces:
        if found and found[-1].stop == offset:
            found[-1] = range(found[-1].start, offset + _PIECE)
        else:
            found.append(range(offset, offset + _PIECE))
    return found


def _forget(descriptor: int, piece: range) -> None:
    forget(descriptor, piece.start, len(piece))
