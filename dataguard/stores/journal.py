"""The journal of a `register` on its way: what it read, for the next one if this one is killed.

`docs/formats.md` describes the file. A row vouches for a file for as long as the file's signature
is the row's; so what is lost of a journal costs a read, and never more than that.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from functools import reduce
from typing import TYPE_CHECKING, Self

from dataguard.core.columns import joined
from dataguard.core.objectplaces import is_objects
from dataguard.core.vouchers import overlaid, vouchers, withdrawn
from dataguard.model.journal import PACE, Pace, journal_schema
from dataguard.stores.frames import append_frames
from dataguard.stores.journalhead import head_bytes, journal_name
from dataguard.stores.journalnames import journals_in
from dataguard.stores.journalsurvey import ATTEMPT, ROWS, Run, Survey, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime, timedelta

    import pyarrow as pa

    from dataguard.model.digest import DigestPlan
    from dataguard.model.journal import JournalHead
    from dataguard.model.ports import Clock

__all__ = ["Journal", "expire_journals"]

_ROWS_PER_FRAME = 65_536
_OPEN = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Journal:
    """What earlier attempts read, and where this one writes down what it reads.

    Use as a context manager. Where another process holds the file, or it cannot be written,
    nothing is known and nothing is kept: a journal saves time, and may not cost a registration.
    `last` is the last path that earlier attempts wrote down, None where there is nothing;
    `started` is when the first of them began.
    """

    def __init__(
        self,
        directory: str,
        head: JournalHead,
        plan: DigestPlan,
        *,
        clock: Clock,
        pace: Pace = PACE,
        fresh: bool = False,
        keep: bool = True,
    ) -> None:
        """Take what is there, nothing if `fresh`; without `keep`, leave it as it is."""
        self._path = os.path.join(directory, journal_name(head.key))
        objects = is_objects(head.key.place)
        self._head, self._schema = head, journal_schema(plan, objects=objects)
        self._clock, self._pace = clock, pace
        self._keep = keep and head.filesystem is not None
        self._fresh = fresh
        self._runs: list[Run] = []
        self._begun = self._owned = False
        self._held: list[pa.RecordBatch] = []
        self._files = self._size = 0
        self._since = clock()
        self.last: bytes | None = None
        self.started = head.started
        self._descriptor = self._opened(create=False)
        if self._descriptor is not None:
            with self._giving_up():
                self._take_stock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._is_begun:
            self._write()
        self._close()

    def known(self) -> Iterator[pa.RecordBatch]:
        """Yield what earlier attempts wrote down, in path order, a frame of each in memory.

        The rows are as `read_with_sheet` of the manifests has them, files only.
        """
        streams = [self._rows(one) for one in self._runs]
        return reduce(overlaid, streams) if streams else iter(())

    def add(self, entries: pa.RecordBatch, size: int) -> None:
        """Take the next entries that were observed, in path order, and the bytes read for them."""
        if not self._keep:
            return
        self._held.append(vouchers(entries, self._schema))
        self._files += entries.num_rows
        self._size += size
        seconds = (self._clock() - self._since).total_seconds()
        amount = self._pace.then if self._is_begun else self._pace.first
        if amount.is_reached(self._files, self._size, seconds):
            self._write()

    def distrust(self, paths: Sequence[bytes]) -> None:
        """Have these paths read by the next attempt, whatever their times say."""
        if not paths or not self._is_begun:
            return
        self._write()
        self._begun = False  # an attempt of its own, for its paths lie before the last one's
        ordered = sorted(set(paths))
        for start in range(0, len(ordered), _ROWS_PER_FRAME):
            self._held.append(withdrawn(ordered[start : start + _ROWS_PER_FRAME], self._schema))
            self._write()

    def remove(self) -> None:
        """Leave nothing of it: what it holds is recorded elsewhere."""
        self._held = []
        if self._descriptor is not None and self._owned:
            with contextlib.suppress(OSError):  # what stays is taken for what it is, or expires
                os.unlink(self._path)
        self._close()

    @property
    def _is_begun(self) -> bool:
        """Whether there is a file, of this attempt or of earlier ones."""
        return self._begun or bool(self._runs)

    def _take_stock(self) -> None:
        """Find out what the file holds, and cut off what cannot be trusted."""
        survey = Survey(self._head, self._schema, self._head.started)
        if not self._fresh:
            survey.take(self._fileno)
        if self._keep and os.fstat(self._fileno).st_size > survey.end:
            os.ftruncate(self._fileno, survey.end)
        self._runs, self.last, self.started = survey.runs, survey.last, survey.started

    def _rows(self, run: Run) -> Iterator[pa.RecordBatch]:
        with self._giving_up():  # a file that no row vouches for is read
            yield from rows_of(self._fileno, run, self._schema)

    def _write(self) -> None:
        """Write down what is held; the first time after the head of this attempt."""
        content = [] if self._begun else [(ATTEMPT, head_bytes(self._head))]
        held = [batch for batch in self._held if batch.num_rows]
        if held:
            content.append((ROWS, joined(held).serialize().to_pybytes()))
        self._held, self._files, self._size, self._since = [], 0, 0, self._clock()
        if not self._keep or not held:
            return
        if self._descriptor is None:
            self._descriptor = self._opened(create=True)
        with self._giving_up():
            append_frames(self._fileno, content)
            self._begun = True

    def _opened(self, *, create: bool) -> int | None:
        """Open and lock the file; None where there is none, or it is not for us."""
        how = os.O_RDWR | os.O_APPEND if self._keep else os.O_RDONLY
        try:
            if create:
                os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
                how |= os.O_CREAT | os.O_EXCL
            descriptor = os.open(self._path, how | _OPEN, 0o600)
        except FileNotFoundError:
            return None
        except OSError:
            self._keep = False
            return None
        if _locked(descriptor, self._path, fcntl.LOCK_EX if self._keep else fcntl.LOCK_SH):
            self._owned = self._keep
            return descriptor
        os.close(descriptor)
        self._keep = False
        return None

    @property
    def _fileno(self) -> int:
        if self._descriptor is None:
            raise OSError("the journal is closed")
        return self._descriptor

    @contextlib.contextmanager
    def _giving_up(self) -> Iterator[None]:
        """Go on without a journal where the disk is full or fails."""
        try:
            yield
        except OSError:
            # The draft on the same disk says so where it matters. Frames that are whole stay.
            self._keep = False

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        self._keep = False


def expire_journals(directory: str, now: datetime, age: timedelta) -> None:
    """Remove the journals that nobody holds and nobody wrote to for some time."""
    for name in journals_in(directory):
        path = os.path.join(directory, name)
        with contextlib.suppress(OSError):  # somebody else's, or gone meanwhile
            if now.timestamp() - os.lstat(path).st_mtime > age.total_seconds():
                _remove_unheld(path)


def _remove_unheld(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | _OPEN)
    try:
        if _locked(descriptor, path, fcntl.LOCK_EX):
            os.unlink(path)
    finally:
        os.close(descriptor)


def _locked(descriptor: int, path: str, how: int) -> bool:
    """Lock an open file for ourselves; False where another has it, or it is not what it should be.

    Whoever removes a journal holds its lock, so a file that is still there afterwards stays.
    """
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        status, named = os.fstat(descriptor), os.lstat(path)
    except OSError:
        return False
    same = (status.st_dev, status.st_ino) == (named.st_dev, named.st_ino)
    return same and stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
