"""The task that workers do on a local tree: stat and hash the entries of a unit.

Imports little, so that a worker starts fast: no Arrow, no numpy. A small file costs one `openat`,
`fstat`, `read`, `fstat` and `close`; all that is unusual about an entry is left to `slowread`.
"""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from dataguard.model.entry import Unreadable
from dataguard.stores.descent import Descent
from dataguard.stores.gathered import Gathered, Horizon
from dataguard.stores.hashing import digester
from dataguard.stores.listing import listed
from dataguard.stores.localunit import Columns, Leaf, Segment, Unit
from dataguard.stores.obstacles import unreadable
from dataguard.stores.openfile import FLAGS, fetch, forget, is_cold, open_file, open_otherwise
from dataguard.stores.pace import pace_of
from dataguard.stores.sieve import sieve_of
from dataguard.stores.sifting import Sifter
from dataguard.stores.slowread import SlowReader
from dataguard.stores.warmread import WarmReader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dataguard.stores.sifting import Worth

__all__ = ["read_unit"]

_WHOLE = 1 << 20
"""Files up to this size are read with one call."""

_WINDOW = 128
"""Files opened before the first of them is read, where they have to come from the disk."""

_UNIT_BYTES = 24 << 20
"""What lies beyond is handed back in parts of this size, to be read at the same time."""

_FIRST = 8
"""Files read before their size is known; a unit of such that are just not large is not much."""


def read_unit(unit: Unit) -> Columns:
    """Return the columns of a unit. What cannot be read is listed, never raised.

    Raises:
        UsageError: an algorithm needs a library that is not installed.
    """
    found = Gathered(tuple(bytes(algorithm.digest_bytes) for algorithm in unit.algorithms))
    horizon = Horizon.now(unit.tick_ns)
    reader = _Reader(found, unit)
    try:
        descent = Descent(unit.root)
    except OSError as err:
        found.unreadable.append(unreadable(b"", err))
        return found.columns(horizon)
    with descent:
        for part in unit.parts:
            try:
                directory = descent.open(part.directory)
            except OSError as err:
                found.unreadable.append(unreadable(part.directory, err))
                continue
            reader.read(part, directory)
    return found.columns(horizon)


class _Reader:
    """Reads parts of a unit, one open directory after the other."""

    def __init__(self, found: Gathered, unit: Unit) -> None:
        self._found = found
        self._unit = unit
        self._slow = SlowReader(found, unit)
        self._links = SlowReader(found, replace(unit, read=False))
        self._sifter = None if unit.sieve is None else Sifter(sieve_of(unit.sieve), found)
        digesters = [digester(algorithm) for algorithm in unit.algorithms]
        self._digests = [
            (column.append, digest) for column, digest in zip(found.digests, digesters, strict=True)
        ]
        self._pace = pace_of(unit.rate)
        self._warm = WarmReader(found, self._digests, _UNIT_BYTES, pace=self._pace)

    def read(self, part: Segment | Leaf, directory: int) -> None:
        """Read what a part names in its open directory."""
        if self._sifter is not None:
            self._sift(self._sifter, part, directory)
        elif isinstance(part, Leaf):
            self._read(part.directory, directory, self._listed(part, directory))
        else:
            self._read(part.directory, directory, part.names)

    def _sift(self, sifter: Sifter, part: Segment | Leaf, directory: int) -> None:
        """Read what a sieve lets through; tell what it knows, in order with the rest."""
        kept = sifter.sift(part, directory)
        prefix = part.directory + b"/" if part.directory else b""
        for is_known, run in groupby(kept, _is_known):
            if not is_known:
                files = list(run)
                done = self._warm.take(directory, prefix, files) if self._unit.read else 0
                self._read(part.directory, directory, [one.name for one in files[done:]])
                continue
            for name, status, _ in run:
                if stat.S_ISREG(status.st_mode):
                    self._found.add_unread(prefix + name, status)
                else:
                    self._links.take(directory, prefix + name)

    def _read(self, place: bytes, directory: int, names: Sequence[bytes]) -> None:
        prefix = place + b"/" if place else b""
        start = 0
        while start < len(names):
            full = self._is_full()
            window = names[start : start + (self._stride() if full else self._window())]
            start += len(window)
            if full:
                self._found.large.append(Segment(place, tuple(window)))
            elif self._unit.read:
                self._hash(directory, prefix, window)
                if self._pace is not None:
                    self._pace.keep()
            else:
                self._look_at(directory, prefix, window)

    def _is_full(self) -> bool:
        """Whether the rest of the unit is to be read by others."""
        return self._unit.hand_back and self._found.bytes_read >= _UNIT_BYTES

    def _window(self) -> int:
        """Return how many files to read next: few where they are large or nobody knows yet."""
        if self._pace is not None:
            return 1
        if not (self._unit.read and self._unit.hand_back):
            return _WINDOW
        return min(self._stride(), _WINDOW) if self._found.paths else _FIRST

    def _stride(self) -> int:
        """Return how many files of the size seen so far fill a unit."""
        found = self._found
        return max(_UNIT_BYTES * len(found.paths) // max(found.bytes_read, 1), 1)

    def _listed(self, leaf: Leaf, directory: int) -> Sequence[bytes]:
        """Return the names in a leaf, and note what else there is to say about it."""
        found = self._found
        try:
            with os.scandir(directory) as items:
                names, directories, special = listed(items)
        except OSError as err:
            found.unreadable.append(unreadable(leaf.directory, err))
            return ()
        if directories:
            found.branches.append(leaf.directory)
            return ()
        for name, obstacle in special:
            found.unreadable.append(Unreadable(leaf.directory + b"/" + name, obstacle, ""))
        if not names and not special:
            found.add_directory(leaf.directory, os.fstat(directory))
        names.sort()
        return names

    def _look_at(self, directory: int, prefix: bytes, names: Sequence[bytes]) -> None:
        """Stat entries without opening them."""
        look, is_file, add = os.stat, stat.S_ISREG, self._found.add_unread
        for name in names:
            path = prefix + name
            try:
                status = look(name, dir_fd=directory, follow_symlinks=False)
            except OSError as err:
                self._found.unreadable.append(unreadable(path, err))
                continue
            if is_file(status.st_mode):
                add(path, status)
            else:
                self._slow.take(directory, path)

    def _hash(self, directory: int, prefix: bytes, names: Sequence[bytes]) -> None:
        """Hash entries; where the first is on the disk, ask for all of them at once before."""
        opened: dict[bytes, int] = {}
        _open_into(opened, names[:1], directory)
        lacking = {name for name, descriptor in opened.items() if self._is_cold(descriptor)}
        polite, cold = self._unit.polite, bool(lacking)
        try:
            if cold:
                _open_into(opened, names[1:], directory)
                if polite:
                    lacking.update(name for name, one in opened.items() if self._is_cold(one))
                for name, descriptor in opened.items():
                    if name in lacking or not polite:
                        fetch(descriptor, 0, _WHOLE)
            self._take(directory, prefix, names, opened, lacking)
        finally:
            for descriptor in opened.values():
                os.close(descriptor)

    def _is_cold(self, descriptor: int) -> bool:
        """Whether a file would have to come from the disk, and is to be forgotten where polite.

        What `slowread` takes looks after itself: asking would have some of it fetched.
        """
        small = not self._unit.polite or os.fstat(descriptor).st_size <= _WHOLE
        return small and is_cold(descriptor)

    def _take(
        self,
        directory: int,
        prefix: bytes,
        names: Sequence[bytes],
        opened: dict[bytes, int],
        lacking: set[bytes],
    ) -> None:
        """Hash small files that nobody touches meanwhile; all else is left to `slowread`.

        One loop that calls little but C: a call of Python costs a small file as much as its hash.
        What is `opened` already is used, and closed. Where polite, what is `lacking` in the page
        cache, or had to come from the disk here, is forgotten again.
        """
        open_name, look, read, close = os.open, os.fstat, os.read, os.close
        is_file, taken, found = stat.S_ISREG, opened.pop, self._found
        add_path, add_status = found.paths.append, found.statuses.append
        digests, total, polite = self._digests, 0, self._unit.polite
        for name in names:
            path = prefix + name
            descriptor = taken(name, -1)
            try:
                if descriptor < 0:
                    descriptor = open_name(name, FLAGS, dir_fd=directory)
            except OSError as err:
                descriptor = open_otherwise(name, directory, err)
                if descriptor < 0:
                    self._slow.take(directory, path)
                    continue
            whole = False
            try:
                before = look(descriptor)
                size = before.st_size
                fetched = polite and name in lacking
                if size <= _WHOLE and is_file(before.st_mode):
                    fetched = fetched or (polite and is_cold(descriptor))
                    data = read(descriptor, size + 1)
                    after = look(descriptor)
                    whole = (
                        len(data) == size
                        and after.st_ctime_ns == before.st_ctime_ns
                        and after.st_size == size
                    )
                if fetched:
                    forget(descriptor, 0, _WHOLE)
            except OSError as err:
                found.unreadable.append(unreadable(path, err))
                continue
            finally:
                close(descriptor)
            if not whole:
                self._slow.take(directory, path)
                continue
            add_path(path)
            add_status(before)
            for add, digest in digests:
                add(digest(data))
            total += size
        found.bytes_read += total


def _is_known(one: Worth) -> bool:
    return one.is_known


def _open_into(opened: dict[bytes, int], names: Sequence[bytes], directory: int) -> None:
    for name in names:
        # What cannot be opened is left out, and said when its turn comes.
        with contextlib.suppress(OSError):
            opened[name] = open_file(name, directory)
