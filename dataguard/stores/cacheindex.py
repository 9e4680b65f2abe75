"""What is known of the objects of a node cache: a small SQLite file that follows from them.

It is never believed alone: an object that is not as it says is read again before it is served. So
it can be removed at any time, and costs reading the cache once.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from threading import RLock
from typing import TYPE_CHECKING

from dataguard.errors import StoreUnreachableError
from dataguard.model.cache import CacheIncident, CacheObject, Wanted
from dataguard.model.digest import Algorithm

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["CacheIndex"]

_WAIT_S = 60
_INHERITED: list[sqlite3.Connection | None] = []
"""What belongs to the parent of a forked process, and is never closed here."""

_KEPT_INCIDENTS = 1000

_SCHEMA = """
CREATE TABLE object (
    algorithm TEXT NOT NULL, digest BLOB NOT NULL, size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL, inode INTEGER NOT NULL,
    used INTEGER NOT NULL, verified INTEGER NOT NULL,
    PRIMARY KEY (algorithm, digest)) WITHOUT ROWID;
CREATE INDEX object_used ON object (used);
CREATE INDEX object_verified ON object (verified, algorithm, digest);
CREATE TABLE total (files INTEGER NOT NULL, bytes INTEGER NOT NULL);
INSERT INTO total VALUES (0, 0);
CREATE TRIGGER object_added AFTER INSERT ON object BEGIN
    UPDATE total SET files = files + 1, bytes = bytes + new.size; END;
CREATE TRIGGER object_removed AFTER DELETE ON object BEGIN
    UPDATE total SET files = files - 1, bytes = bytes - old.size; END;
CREATE TABLE incident (
    time INTEGER NOT NULL, object TEXT NOT NULL, what TEXT NOT NULL);
"""
_COLUMNS = "algorithm, digest, size, mtime_ns, ctime_ns, inode"
_KNOWN = f"SELECT {_COLUMNS}, used FROM object WHERE algorithm = ? AND digest = ?"  # noqa: S608  constants
_SAME = "algorithm = ? AND digest = ? AND inode = ? AND ctime_ns = ?"


class CacheIndex:
    """The index at a path; opened when it is first asked, anew in every process that is forked.

    Times are whole seconds since 1970. One that this user may not write can be read.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None
        self._process = os.getpid()
        self._turn = RLock()

    def close(self) -> None:
        """Close it, unless that is the parent's to do."""
        self._leave_parent()
        with self._turn:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def create(self, mode: int) -> None:
        """Make an empty index with these permissions where there is none; others see it complete.

        Raises:
            StoreUnreachableError: it cannot be made.
        """
        if self.is_there():
            return
        draft = f"{self.path}.{secrets.token_hex(8)}"
        try:
            with closing(sqlite3.connect(draft, isolation_level=None)) as made:
                made.executescript(_SCHEMA)
            os.chmod(draft, mode)
            with suppress(FileExistsError):
                os.link(draft, self.path)
            os.unlink(draft)
        except (OSError, sqlite3.Error) as err:
            raise StoreUnreachableError(f"cannot make {self.path}: {err}") from err
        self.close()

    def is_open(self) -> bool:
        """Whether it was asked in this process already."""
        return self._connection is not None and self._process == os.getpid()

    def is_there(self) -> bool:
        """Whether there is an index; one that is open is not looked for again."""
        return self.is_open() or os.path.exists(self.path)

    def known(self, wanted: Wanted) -> tuple[CacheObject, int] | None:
        """Return an object as it should be, and when it was last used."""
        return self.all_known([wanted])[0]

    def all_known(self, objects: Sequence[Wanted]) -> list[tuple[CacheObject, int] | None]:
        """Return the same for several, in their order, as they were at one moment."""
        if not self.is_there():
            return [None] * len(objects)
        with self._asked() as ask, _at_one_moment(ask, len(objects)):
            rows = [ask.execute(_KNOWN, _key(one)).fetchone() for one in objects]
        return [None if row is None else (_object(row), int(row[6])) for row in rows]

    def add(self, objects: Iterable[CacheObject], now: int) -> None:
        """Record objects whose content was just found right, in one transaction."""
        rows = [
            (*_key(o.wanted), o.wanted.size, o.mtime_ns, o.ctime_ns, o.inode, now, now)
            for o in objects
        ]
        with self._asked(write=True) as ask:
            # Not REPLACE, whose deletions fire no trigger.
            ask.executemany("DELETE FROM object WHERE algorithm = ? AND digest = ?", _keys(rows))
            ask.executemany("INSERT INTO object VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def forget(self, objects: Iterable[CacheObject]) -> None:
        """Take out objects, unless somebody brought them anew meanwhile."""
        rows = [(*_key(one.wanted), one.inode, one.ctime_ns) for one in objects]
        with self._asked(write=True) as ask:
            ask.executemany(f"DELETE FROM object WHERE {_SAME}", rows)  # noqa: S608  constants

    def touch(self, used: Mapping[Wanted, int]) -> None:
        """Note when objects were used."""
        rows = [(moment, *_key(one)) for one, moment in used.items()]
        with self._asked(write=True) as ask:
            ask.executemany("UPDATE object SET used = ? WHERE algorithm = ? AND digest = ?", rows)

    def verified(self, objects: Iterable[CacheObject], now: int) -> None:
        """Note that objects were read and are right."""
        rows = [(now, *_key(one.wanted), one.inode, one.ctime_ns) for one in objects]
        with self._asked(write=True) as ask:
            ask.executemany(f"UPDATE object SET verified = ? WHERE {_SAME}", rows)  # noqa: S608  constants

    def totals(self) -> tuple[int, int]:
        """Return the number of objects and their bytes."""
        if not self.is_there():
            return 0, 0
        with self._asked() as ask:
            files, size = ask.execute("SELECT files, bytes FROM total").fetchone()
        return int(files), int(size)

    def next_reading(self, now: int) -> int:
        """Return a time for reading all again that is after every time of `verified`."""
        if not self.is_there():
            return now
        with self._asked() as ask:
            (last,) = ask.execute("SELECT coalesce(max(verified), 0) FROM object").fetchone()
        return max(now, int(last) + 1)

    def by_verification(self, before: int) -> Iterator[CacheObject]:
        """Yield objects that were not verified since, those longest not verified first."""
        last: tuple[int, str, bytes] = (-1, "", b"")
        page = (
            f"SELECT {_COLUMNS}, verified FROM object WHERE verified < ? AND "  # noqa: S608  constants
            "(verified, algorithm, digest) > (?, ?, ?) ORDER BY verified, algorithm, digest "
            "LIMIT 1000"
        )
        while True:
            with self._asked() as ask:
                rows = ask.execute(page, (before, *last)).fetchall()
            if not rows:
                return
            yield from map(_object, rows)
            last = (rows[-1][6], rows[-1][0], rows[-1][1])

    def pages(self) -> Iterator[list[CacheObject]]:
        """Yield every object, a thousand at a time."""
        last: tuple[str, bytes] = ("", b"")
        page = (
            f"SELECT {_COLUMNS} FROM object WHERE (algorithm, digest) > (?, ?) "  # noqa: S608  constants
            "ORDER BY algorithm, digest LIMIT 1000"
        )
        while True:
            with self._asked() as ask:
                found = [_object(row) for row in ask.execute(page, last)]
            if not found:
                return
            yield found
            last = _key(found[-1].wanted)

    @contextmanager
    def without(self, pinned: Iterable[tuple[str, bytes]]) -> Iterator[_Candidates]:
        """Give what may go: all but those that are pinned, which are not held in memory."""
        with self._asked(write=True) as ask:
            ask.execute(
                "CREATE TEMP TABLE pinned (algorithm TEXT, digest BLOB, "
                "PRIMARY KEY (algorithm, digest)) WITHOUT ROWID"
            )
            try:
                ask.executemany("INSERT OR IGNORE INTO pinned VALUES (?, ?)", pinned)
                yield _Candidates(ask)
            finally:
                ask.execute("DROP TABLE pinned")

    def report(self, one: CacheIncident) -> None:
        """Keep what went wrong, with what went wrong before."""
        row = (int(one.time.timestamp()), one.object, one.what)
        with self._asked(write=True) as ask:
            ask.execute("INSERT INTO incident VALUES (?, ?, ?)", row)
            ask.execute(
                "DELETE FROM incident WHERE rowid <= (SELECT max(rowid) FROM incident) - ?",
                (_KEPT_INCIDENTS,),
            )

    def incidents(self, limit: int) -> tuple[CacheIncident, ...]:
        """Return what went wrong, newest first."""
        if not self.is_there():
            return ()
        ordered = "SELECT time, object, what FROM incident ORDER BY rowid DESC LIMIT ?"
        with self._asked() as ask:
            return tuple(
                CacheIncident(datetime.fromtimestamp(time, UTC), named, what)
                for time, named, what in ask.execute(ordered, (limit,))
            )

    @contextmanager
    def _asked(self, *, write: bool = False) -> Iterator[sqlite3.Connection]:
        """Give the connection to one thread at a time; what is written is one transaction.

        Raises:
            StoreUnreachableError: the index cannot be read or written.
        """
        self._leave_parent()
        with self._turn:
            try:
                connection = self._opened()
                if not write:
                    yield connection
                    return
                with connection:
                    connection.execute("BEGIN IMMEDIATE")
                    yield connection
            except sqlite3.Error as err:
                raise StoreUnreachableError(
                    f"cannot use the index of the node cache, {self.path}: {err}",
                    hint=f"it can be removed: rm {self.path} && dataguard cache verify",
                ) from err

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            mode = "rw" if os.access(self.path, os.W_OK) else "ro"
            self._connection = sqlite3.connect(
                f"file:{_quoted(self.path)}?mode={mode}",
                uri=True,
                timeout=_WAIT_S,
                isolation_level=None,
                check_same_thread=False,
            )
            self._connection.execute("PRAGMA synchronous = NORMAL")
        return self._connection

    def _leave_parent(self) -> None:
        """Take nothing along from the process that this one was forked from.

        A thread of it may hold the turn. To close its connection could undo what it is writing.
        """
        if self._process != os.getpid():
            _INHERITED.append(self._connection)
            self._process, self._turn, self._connection = os.getpid(), RLock(), None


class _Candidates:
    """What may go from a cache, while nobody else writes its index."""

    def __init__(self, ask: sqlite3.Connection) -> None:
        self._ask = ask

    def bytes(self) -> int:
        """Return how many bytes could go."""
        sums = "SELECT coalesce(sum(size), 0) FROM object WHERE (algorithm, digest) NOT IN pinned"
        return int(self._ask.execute(sums).fetchone()[0])

    def oldest_first(self, *, stay: bool) -> Iterator[CacheObject]:
        """Yield them, those longest not used first; each is forgotten then, unless they `stay`."""
        page = (
            f"SELECT {_COLUMNS} FROM object WHERE (algorithm, digest) NOT IN pinned "  # noqa: S608  constants
            "ORDER BY used, algorithm, digest LIMIT 1000 OFFSET ?"
        )
        past = 0
        while rows := self._ask.execute(page, (past,)).fetchall():
            yield from map(_object, rows)
            past += len(rows) if stay else 0

    def forget(self, one: CacheObject) -> None:
        """Take one out."""
        self._ask.execute("DELETE FROM object WHERE algorithm = ? AND digest = ?", _key(one.wanted))


@contextmanager
def _at_one_moment(ask: sqlite3.Connection, count: int) -> Iterator[None]:
    """Take the file's lock once for several questions: it costs more than they do."""
    if count == 1 or ask.in_transaction:
        yield
        return
    ask.execute("BEGIN")
    try:
        yield
    finally:
        ask.execute("ROLLBACK")


def _key(wanted: Wanted) -> tuple[str, bytes]:
    return str(wanted.algorithm), wanted.digest


def _keys(rows: Iterable[tuple[object, ...]]) -> Iterator[tuple[object, ...]]:
    return (row[:2] for row in rows)


def _object(row: tuple[str, bytes, int, int, int, int]) -> CacheObject:
    algorithm, digest, size, mtime_ns, ctime_ns, inode = row[:6]
    return CacheObject(Wanted(Algorithm(algorithm), digest, size), mtime_ns, ctime_ns, inode)


def _quoted(path: str) -> str:
    from urllib.parse import quote  # noqa: PLC0415  once, when it is opened

    return quote(os.fsencode(path))
