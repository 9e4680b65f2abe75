"""Reading pinned files of a local tree: never a byte of a file that was replaced meanwhile.

A file counts as what the version pins where `fstat` says what it said when the file was hashed,
before each read and after it; else its content is hashed before anything of it is given.
"""

from __future__ import annotations

import io
import os
import stat
from typing import TYPE_CHECKING

from dataguard.stores.hashing import digester, new_hash
from dataguard.stores.openfile import FLAGS
from dataguard.stores.pinnedsource import ChangedGoldError, Checked

if TYPE_CHECKING:
    from dataguard.model.digest import Algorithm
    from dataguard.model.pinned import PinnedEntry
    from dataguard.model.ports import Clock
    from dataguard.stores.pinnedsource import PinnedSource

__all__ = ["LocalFile", "LocalReplica"]

_TRIES = 3
_PIECE = 1 << 20
_ONE_READ = 1 << 30
"""One call of read(2) gives no more than 2 GiB."""

_REMEMBERED = 65_536
_SETTLED_S = 2.0
"""A file that changed less than this ago may change again without another time."""

_Signature = tuple[int, int, int, int]


class LocalReplica:
    """A directory of this host that should hold a version.

    `vouched`: the baselines of its entries mean something here. `doubted`: the version is
    quarantined, or its files may be gone from here: nothing is given that was not hashed by this
    process. `clock` says of what was hashed whether it may be remembered.
    """

    def __init__(
        self,
        place: str,
        algorithm: Algorithm,
        clock: Clock,
        *,
        vouched: bool,
        doubted: bool,
    ) -> None:
        self.place = place
        self._base = os.fsencode(place) + b"/"
        self._algorithm, self._digest = algorithm, digester(algorithm)
        self._clock = clock
        self._trusts_baseline = vouched and not doubted
        self._hashed: dict[tuple[bytes, _Signature], bytes] = {}
        self._flags = FLAGS

    def read(self, entry: PinnedEntry, *, verify: bool) -> bytes:
        """Return the whole content of a file.

        Raises:
            ChangedGoldError: it is not what is pinned.
            OSError: it cannot be read.
        """
        place = self._base + entry.path
        descriptor = self._opened(place)
        try:
            before = os.fstat(descriptor)
            _check_kind(before, entry, place)
            known = self._is_known(entry, before)
            if entry.size <= _ONE_READ:
                data = os.read(descriptor, entry.size + 1)
            else:
                data = _read_on(descriptor, 0)
            known = known and _is_same(os.fstat(descriptor), before)
        finally:
            os.close(descriptor)
        if verify or not known:
            if self._digest(data) != entry.digest:
                raise _changed(place, "its content is not what the version pins")
            self._remember(entry, before)
        return data

    def open(self, entry: PinnedEntry, *, verify: bool) -> PinnedSource:
        """Open a file.

        Raises:
            ChangedGoldError: it is not what is pinned.
            OSError: it cannot be opened.
        """
        place = self._base + entry.path
        descriptor = self._opened(place)
        try:
            before = os.fstat(descriptor)
            _check_kind(before, entry, place)
            file = LocalFile(descriptor, before, place, entry, self._algorithm)
            if not self._is_known(entry, before):
                file.confirm()
                self._remember(entry, before)
                return file
        except BaseException:
            os.close(descriptor)
            raise
        return Checked(file, self._algorithm, entry.digest) if verify else file

    def _opened(self, place: bytes) -> int:
        try:
            return os.open(place, self._flags)
        except PermissionError:
            if not self._flags & os.O_NOATIME:
                raise
            # O_NOATIME is for the owner alone: whoever may read may still read.
            flags = FLAGS & ~os.O_NOATIME
            descriptor = os.open(place, flags)
            self._flags = flags
            return descriptor

    def _is_known(self, entry: PinnedEntry, status: os.stat_result) -> bool:
        """Whether a file is what is pinned by what `fstat` says of it."""
        baseline = entry.baseline
        if (
            self._trusts_baseline
            and baseline is not None
            and status.st_ctime_ns == baseline.ctime_ns
            and status.st_mtime_ns == baseline.mtime_ns
            and status.st_ino == baseline.inode
            and status.st_size == entry.size
        ):
            return True
        return self._hashed.get((entry.path, _signature(status))) == entry.digest

    def _remember(self, entry: PinnedEntry, status: os.stat_result) -> None:
        changed = max(status.st_ctime_ns, status.st_mtime_ns) / 1e9
        if self._clock().timestamp() - changed < _SETTLED_S:
            return
        if len(self._hashed) >= _REMEMBERED:
            self._hashed = {}
        self._hashed[entry.path, _signature(status)] = entry.digest


class LocalFile:
    """An open file; each piece is given after a look that nothing changed since it was known.

    Where something did, its content is hashed again, and the piece read again: a link that was
    made or a mode that was set is no damage.
    """

    def __init__(
        self,
        descriptor: int,
        before: os.stat_result,
        place: bytes,
        entry: PinnedEntry,
        algorithm: Algorithm,
    ) -> None:
        self.size, self._place = before.st_size, place
        self._descriptor, self._before = descriptor, before
        self._entry, self._algorithm = entry, algorithm

    @property
    def place(self) -> str:
        """Its path."""
        return os.fsdecode(self._place)

    def read_into(self, offset: int, view: memoryview) -> int:
        """Fill a view with bytes from an offset on."""
        count = os.preadv(self._descriptor, [view], offset)
        while not self._is_as_before():
            self.confirm()
            count = os.preadv(self._descriptor, [view], offset)
        return count

    def read(self, offset: int, length: int) -> bytes:
        """Return so many bytes from an offset on."""
        length = max(min(length, self.size - offset), 0)
        data = self._bytes(offset, length)
        while not self._is_as_before():
            self.confirm()
            data = self._bytes(offset, length)
        return data

    def confirm(self) -> None:
        """Hash the whole file; as it is then it is known.

        Raises:
            ChangedGoldError: it is not what is pinned, or does not stay as it is.
            OSError: it cannot be read.
        """
        for _ in range(_TRIES):
            self._before = os.fstat(self._descriptor)
            if self._before.st_size != self.size:
                break
            digest = _digest(self._descriptor, self._algorithm)
            if self._is_as_before():
                if digest == self._entry.digest:
                    return
                break
        raise ChangedGoldError.at(self.place, "its content is not what the version pins")

    def close(self) -> None:
        """Close the file; once more does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _bytes(self, offset: int, length: int) -> bytes:
        if length <= _ONE_READ:
            return os.pread(self._descriptor, length, offset)
        return _read_on(self._descriptor, offset)[:length]

    def _is_as_before(self) -> bool:
        return _is_same(os.fstat(self._descriptor), self._before)


def _signature(status: os.stat_result) -> _Signature:
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _check_kind(status: os.stat_result, entry: PinnedEntry, place: bytes) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _changed(place, "it is no file any more")
    if status.st_size != entry.size:
        words = f"it holds {status.st_size} bytes, the version pins {entry.size}"
        raise _changed(place, words)


def _is_same(after: os.stat_result, before: os.stat_result) -> bool:
    """Whether nothing was done to a file between two looks."""
    return (
        after.st_ctime_ns == before.st_ctime_ns
        and after.st_mtime_ns == before.st_mtime_ns
        and after.st_size == before.st_size
    )


def _digest(descriptor: int, algorithm: Algorithm) -> bytes:
    """Return the digest of everything in a file."""
    made, buffer, offset = new_hash(algorithm)(), bytearray(_PIECE), 0
    view = memoryview(buffer)
    while count := os.preadv(descriptor, [buffer], offset):
        made.update(view[:count])
        offset += count
    return made.digest()


def _read_on(descriptor: int, offset: int) -> bytes:
    """Return everything from an offset on, however much that is."""
    with io.FileIO(descriptor, closefd=False) as file:
        file.seek(offset)
        return file.readall()


def _changed(place: bytes, what: str) -> ChangedGoldError:
    return ChangedGoldError.at(os.fsdecode(place), what)
