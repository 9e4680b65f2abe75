"""Seals and opens a local tree, entry by entry, and says of which it is proved that nobody wrote.

The argument is in docs/decisions/0010. In short: while a read lease is held nobody has the file
open for writing or mapped shared, nor can; what is as in the baseline then, and after the change of
flag or mode still under the lease, has the baseline's content at its new change time.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
from array import array
from dataclasses import field
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from dataguard.core.columns import array_column, flag_column, numbers, raw_paths
from dataguard.core.directories import entered, left
from dataguard.errors import CatalogDamagedError, StoreUnreachableError, UsageError
from dataguard.model.dataclass import dataclass
from dataguard.model.policy import Seal
from dataguard.model.schema import LOCATION_SHEET
from dataguard.model.seal import WRITE_BITS
from dataguard.stores.descent import Descent
from dataguard.stores.flags import WITHOUT_FLAGS, is_immutable, set_immutable, sync_filesystem
from dataguard.stores.obstacles import unreadable
from dataguard.stores.openfile import open_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dataguard.model.entry import Unreadable
    from dataguard.model.seal import DirectoryMode

__all__ = ["Alteration", "Passage", "alter"]

_FIELDS = ("mtime_ns", "ctime_ns", "inode", "mode", "uid", "gid")
_INODE = _FIELDS.index("inode")
_CHUNK = 4_096


@dataclass(frozen=True, slots=True)
class Alteration:
    """What is done to each file and directory: a seal set (`closing`) or taken away.

    `coarse` says that the file system's timestamps cannot tell two changes from one another that
    follow closely: then no change of mode is proved, since root may write right after it. `shared`
    says that other hosts write there too. Then a lease proves nothing, and none is asked for: NFS
    and SMB refuse one as if somebody had the file open, where the server delegated nothing.
    """

    kind: Seal
    closing: bool
    coarse: bool = False
    shared: bool = False

    def is_done(self, descriptor: int, mode: int, original: int | None) -> bool:
        """Whether nothing is left to do.

        Raises:
            OSError: the file system has no flags.
        """
        if self.kind is Seal.IMMUTABLE:
            return is_immutable(descriptor) == self.closing
        return stat.S_IMODE(mode) == self._mode(mode, original)

    def perform(self, descriptor: int, mode: int, original: int | None) -> None:
        """Set or clear the flag, or the mode.

        Raises:
            OSError: this is not permitted, or the file system fails.
        """
        if self.kind is Seal.IMMUTABLE:
            set_immutable(descriptor, on=self.closing)
        else:
            os.fchmod(descriptor, self._mode(mode, original))

    def expected(self, mode: int, original: int | None) -> int:
        """Return what becomes of a mode of the baseline, its file type included."""
        if self.kind is Seal.IMMUTABLE:
            return mode
        return stat.S_IFMT(mode) | self._mode(mode, original)

    @property
    def proves(self) -> bool:
        """Whether a change under a lease proves anything."""
        return self.kind is Seal.IMMUTABLE or not self.coarse

    def _mode(self, mode: int, original: int | None) -> int:
        now = stat.S_IMODE(mode)
        if self.closing:
            return now & ~WRITE_BITS
        # Only what was taken: whatever lies there now gets no other bit from a record.
        return now if original is None else now & ~WRITE_BITS | original & WRITE_BITS


@dataclass(slots=True)
class Passage:
    """How far a pass over a tree got: what has the seal, or lacks it, and what was in the way.

    `busy` are files that some process has open for writing: they were left as they are.
    """

    files: int = 0
    directories: int = 0
    changed: int = 0
    busy: list[bytes] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)


class _Row(NamedTuple):
    """An entry with what the baseline says; `original` is the mode to put back, if any."""

    path: bytes
    kind: str
    size: int
    trusted: bool
    facts: tuple[int, ...]
    original: int | None


def alter(
    place: str,
    entries: Iterable[pa.RecordBatch],
    what: Alteration,
    passage: Passage,
    originals: Iterator[DirectoryMode] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Set or clear a seal on everything below a place; yields the entries with a new baseline.

    `entries` are those of a manifest with its location sheet, and with a column `original_mode`
    where modes are put back; `originals` are the other directories with theirs. What comes out
    has the change time and inode of each entry right after the change, and `racy` where it is not
    proved that its content is still the manifest's. Modification time, mode and owner are those
    that follow from the baseline: what somebody else made of them is to be found, not taken in.
    Closing takes directories after all in them, opening before. Everything altered is durable at
    the end.

    May be interrupted anywhere and run again; what is done already is left alone.

    Raises:
        CatalogDamagedError: the directories are not those of the entries.
        StoreUnreachableError: the tree is gone, on a read-only mount, or its file system fails.
        UsageError: this is not permitted, or the file system has no such flags.
    """
    try:
        with Descent(place, exact=True) as tree:
            pass_ = _Pass(tree, what, passage, originals)
            for batch in entries:
                yield from pass_.batches(batch)
            pass_.finish()
            sync_filesystem(tree.root)
    except OSError as err:
        raise _refused(place, err, what) from err


class _Pass:
    """One pass over a tree, in path order."""

    def __init__(
        self,
        tree: Descent,
        what: Alteration,
        passage: Passage,
        originals: Iterator[DirectoryMode] | None,
    ) -> None:
        self._tree = tree
        self._what = what
        self._passage = passage
        self._originals = originals
        self._at: bytes | None = None

    def batches(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a batch with their new facts."""
        for start in range(0, batch.num_rows, _CHUNK):
            part = batch.slice(start, _CHUNK)
            yield _renewed(part, [self._entry(row) for row in _rows(part)])

    def finish(self) -> None:
        """Do what comes after the last entry."""
        if self._at is None:  # nothing in it
            self._enter([b""])
            self._at = b""
        if self._what.closing:
            self._leave(left(self._at, None))

    def _entry(self, row: _Row) -> tuple[tuple[int, ...], bool]:
        """Return the facts of one entry after its turn, and whether they are racy."""
        parent, _, name = row.path.rpartition(b"/")
        if parent != self._at:
            self._turn(parent)
        try:
            status, proved = self._altered(row, parent, name)
        except OSError as err:
            if err.errno in _FATAL:
                raise
            self._passage.unreadable.append(unreadable(row.path, err))
            return row.facts, True
        return self._facts(row, status), not proved

    def _facts(self, row: _Row, status: os.stat_result) -> tuple[int, ...]:
        mtime_ns, _, _, mode, uid, gid = row.facts
        if row.kind != "l":
            mode = self._what.expected(mode, row.original)
        return mtime_ns, status.st_ctime_ns, status.st_ino, mode, uid, gid

    def _altered(self, row: _Row, parent: bytes, name: bytes) -> tuple[os.stat_result, bool]:
        """Return an entry's status after its turn, and whether its content is proved.

        Raises:
            OSError: it is gone, or something else, or must not be changed.
        """
        if row.kind == "l":
            status = os.stat(name, dir_fd=self._tree.open(parent), follow_symlinks=False)
            return status, _is_same(row, status)
        if row.kind == "d":
            return self._directory(row.path, row.original, row.facts[_INODE]), True
        descriptor = open_file(name, self._tree.open(parent))
        try:
            return self._file(row, descriptor)
        finally:
            os.close(descriptor)

    def _file(self, row: _Row, descriptor: int) -> tuple[os.stat_result, bool]:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        if not self._what.closing and before.st_ino != row.facts[_INODE]:
            return before, False  # not the file that was sealed: its mode is nobody's to put back
        if self._what.is_done(descriptor, before.st_mode, row.original):
            self._passage.files += 1
            return before, _is_same(row, before)
        leased = _Lease.NONE if self._what.shared else _lease(descriptor)
        if leased is _Lease.BUSY and self._what.closing:
            self._passage.busy.append(row.path)
            return before, False
        before = os.fstat(descriptor)  # what a write until the lease did shows in it
        self._what.perform(descriptor, before.st_mode, row.original)
        self._passage.files += 1
        self._passage.changed += 1
        after = os.fstat(descriptor)
        held = leased is _Lease.HELD and fcntl.fcntl(descriptor, fcntl.F_GETLEASE) == fcntl.F_RDLCK
        return after, held and self._what.proves and _is_same(row, before)

    def _directory(self, path: bytes, original: int | None, inode: int | None) -> os.stat_result:
        """Seal or open a directory; one that took the place of the sealed one stays as it is."""
        descriptor = self._tree.open(path)
        before = os.fstat(descriptor)
        if not self._what.closing and inode not in (None, before.st_ino):
            return before
        self._passage.directories += 1
        if not self._what.is_done(descriptor, before.st_mode, original):
            self._what.perform(descriptor, before.st_mode, original)
            self._passage.changed += 1
        return os.fstat(descriptor)

    def _turn(self, parent: bytes) -> None:
        """Go on to another directory: finish those that are left, begin those that are entered."""
        before = self._at
        if before is not None and self._what.closing:
            self._leave(left(before, parent))
        self._enter(entered(before, parent))
        self._at = parent

    def _leave(self, directories: Iterable[bytes]) -> None:
        for path in directories:
            self._attempt(path, None, None)

    def _enter(self, directories: Iterable[bytes]) -> None:
        if self._what.closing:
            return
        for path in directories:
            was = self._original_of(path)
            mode, inode = (None, None) if was is None else (was.mode, was.inode)
            self._attempt(path, mode, inode)

    def _attempt(self, path: bytes, original: int | None, inode: int | None) -> None:
        try:
            self._directory(path, original, inode)
        except OSError as err:
            if err.errno in _FATAL:
                raise
            self._passage.unreadable.append(unreadable(path, err))

    def _original_of(self, path: bytes) -> DirectoryMode | None:
        if self._originals is None:
            return None
        known = next(self._originals, None)
        if known is None or known.path != path:
            raise CatalogDamagedError(
                "the sheet of directory modes does not fit the manifest",
                hint="`dataguard catalog check` says what is damaged",
            )
        return known


_FATAL = frozenset({errno.EPERM, errno.EROFS, errno.EIO, errno.ENOSPC, *WITHOUT_FLAGS})
"""What would be the same with the next entry."""


class _Lease(Enum):
    """Whether a read lease on a file could be had."""

    HELD = "held"
    BUSY = "busy"
    NONE = "none"


def _lease(descriptor: int) -> _Lease:
    """Take a read lease, which nobody gets while somebody has the file open for writing.

    It ends with the descriptor. Needs CAP_LEASE or a file of one's own, and a file system that
    has leases (fcntl(2)).
    """
    try:
        # Whoever breaks it has the kernel send SIGIO, which kills; SIGURG is ignored.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return _Lease.BUSY
    except OSError:
        return _Lease.NONE
    return _Lease.HELD


def _is_same(row: _Row, status: os.stat_result) -> bool:
    """Whether the baseline vouches for the content: as the quick audit judges."""
    same = (status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_mode)
    return row.trusted and row.size == status.st_size and row.facts[:4] == same


def _rows(batch: pa.RecordBatch) -> Iterator[_Row]:
    names = batch.schema.names
    count = batch.num_rows
    facts = zip(*(numbers(batch.column(name)).tolist() for name in _FIELDS), strict=True)
    racy = numbers(batch.column("racy")).tolist()
    originals = [None] * count
    if "original_mode" in names:
        originals = numbers(batch.column("original_mode")).tolist()
    return map(
        _Row,
        raw_paths(batch).to_pylist(),
        batch.column("kind").to_pylist(),
        numbers(batch.column("size")).tolist(),
        [not one for one in racy],
        facts,
        originals,
    )


def _renewed(batch: pa.RecordBatch, found: list[tuple[tuple[int, ...], bool]]) -> pa.RecordBatch:
    """Return a batch with other facts."""
    columns = {name: batch.column(name) for name in batch.schema.names if name != "original_mode"}
    for position, name in enumerate(_FIELDS):
        kind = LOCATION_SHEET.field(name).type
        values = array("i" if kind == pa.int32() else "q", (one[0][position] for one in found))
        columns[name] = array_column(values, kind)
    columns["racy"] = flag_column(bytes(one[1] for one in found))
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def _refused(place: str, err: OSError, what: Alteration) -> Exception:
    """Return what an error of the kernel means for the whole pass."""
    verb = "seal" if what.closing else "unseal"
    if err.errno == errno.EPERM and what.kind is Seal.IMMUTABLE:
        return UsageError(
            f"cannot {verb} {place}: immutable flags need CAP_LINUX_IMMUTABLE on this host",
            hint="run it as root, outside of containers and user namespaces",
        )
    if err.errno == errno.EPERM:
        return UsageError(
            f"cannot {verb} {place}: only the owner of a file and root may change its mode",
            hint="run it as the owner, or as root",
        )
    if err.errno in WITHOUT_FLAGS:
        return UsageError(
            f"cannot {verb} {place}: a part of it lies on a file system without immutable flags",
            hint="--seal mode takes away write permission instead",
        )
    return StoreUnreachableError(
        f"cannot {verb} {place}: {err.strerror}", hint="mend it, then run the same command again"
    )
