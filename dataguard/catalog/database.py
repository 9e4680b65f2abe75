"""Opening the catalog's database: what SQLite needs to be safe, and its errors as ours."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from dataguard.catalog.address import parse_url
from dataguard.catalog.connection import SqliteConnection
from dataguard.catalog.filesystem import check_local
from dataguard.errors import (
    CatalogDamagedError,
    ConflictError,
    DataguardError,
    NotFoundError,
    StoreUnreachableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.catalog.connection import Connection

__all__ = ["Database"]

_CHECK_HINT = "`dataguard catalog check` says what is damaged; `dataguard catalog rebuild` repairs"


class Database:
    """An open database; connections last for one transaction, so it may be used after a fork.

    `path` is the file's path, None in memory.
    """

    def __init__(self, path: str | None, timeout_s: float) -> None:
        self.path = path
        self._timeout_s = timeout_s
        self._kept = _connect(":memory:", timeout_s) if path is None else None

    @classmethod
    def open(cls, url: str, *, create: bool) -> Database:
        """Open the database at a URL; `sqlite:////absolute/path?timeout=SECONDS` for SQLite.

        Raises:
            ConfigurationError: the URL makes no sense, or leads to a network file system.
            NotFoundError: there is no such file and `create` is off.
        """
        address = parse_url(url)
        check_local(os.path.dirname(address.path))
        if not create and not os.path.exists(address.path):
            raise NotFoundError(
                f"no catalog at `{address.path}`", hint="`dataguard catalog init` makes one"
            )
        return cls(address.path, address.timeout_s)

    @classmethod
    def in_memory(cls) -> Database:
        """Open an empty database that is gone when closed."""
        return cls(None, timeout_s=0)

    def close(self) -> None:
        """Let go of what is in memory."""
        if self._kept is not None:
            self._kept.close()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection that sees one consistent state.

        Raises:
            CatalogDamagedError: the file is no database, or damaged.
            ConflictError: somebody else kept the database locked for too long.
            StoreUnreachableError: the file cannot be read.
        """
        with self.converting("read"), self.driver() as driver, _begun(driver, "BEGIN"):
            yield SqliteConnection(driver)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection that is the only writer; commits at the end, or nothing happened.

        Raises:
            CatalogDamagedError: the file is no database, or damaged.
            ConflictError: somebody else kept the database locked for too long, or replaced it.
            StoreUnreachableError: the file cannot be written.
        """
        before = self.identity()
        with self.converting("write"), self.driver() as driver, self.locking(driver, before):
            yield SqliteConnection(driver)

    @contextmanager
    def locking(self, driver: sqlite3.Connection, before: tuple[int, int] | None) -> Iterator[None]:
        """Make a driver's connection the only writer; commits at the end, or nothing happened.

        `before` is the `identity` from before the connection was opened.

        Raises:
            ConflictError: somebody else replaced the database meanwhile.
        """
        # A deferred transaction that writes later fails at once where another one wrote meanwhile.
        with _begun(driver, "BEGIN IMMEDIATE"):
            if before is not None and before != self.identity():
                raise ConflictError(
                    "the catalog was rebuilt at this moment", hint="run the same command again"
                )
            yield

    def snapshot(self) -> Database:
        """Return a copy in memory of one consistent state; others may go on writing.

        Raises:
            CatalogDamagedError: the file is no database.
            ConflictError: somebody else kept the database locked for too long.
            StoreUnreachableError: the file cannot be read.
        """
        copy = Database.in_memory()
        with self.converting("copy"), self.driver() as source, copy.driver() as target:
            source.backup(target)
        return copy

    def save(self, path: str) -> None:
        """Write a copy of one consistent state to a file, durably; replaces the file.

        Raises:
            CatalogDamagedError: the database's file is no database.
            ConflictError: somebody else kept the database locked for too long.
            StoreUnreachableError: the database cannot be read or the file not be written.
        """
        with (
            self.converting("copy"),
            self.driver() as source,
            closing(sqlite3.connect(path)) as target,
        ):
            source.backup(target)

    def faults(self) -> tuple[str, ...]:
        """Return what the database itself finds wrong with its file and its keys."""
        with self.reading() as connection:
            found = [*connection.execute("PRAGMA integrity_check", {})]
            orphans = [*connection.execute("PRAGMA foreign_key_check", {})]
        texts = [str(row["integrity_check"]) for row in found]
        broken = [f"a row of `{row['table']}` names no row of `{row['parent']}`" for row in orphans]
        return (*(text for text in texts if text != "ok"), *broken)

    @contextmanager
    def driver(self) -> Iterator[sqlite3.Connection]:
        """Give the driver's own connection, outside of any transaction."""
        if self.path is None and self._kept is not None:
            yield self._kept
        elif self.path is not None:
            with closing(_connect(self.path, self._timeout_s)) as driver:
                yield driver

    def identity(self) -> tuple[int, int] | None:
        """Return which file this is, None where there is none.

        A rebuild puts another file in place; whoever waited for the old one must not write it.
        """
        try:
            found = os.stat(self.path) if self.path is not None else None
        except OSError:
            return None
        return None if found is None else (found.st_dev, found.st_ino)

    @contextmanager
    def converting(self, operation: str) -> Iterator[None]:
        """Raise the driver's errors inside as ours."""
        try:
            yield
        except sqlite3.Error as err:
            raise _converted(err, f"cannot {operation} the catalog `{self.path}`") from err


def _connect(path: str, timeout_s: float = 0) -> sqlite3.Connection:
    # Without an isolation level the driver begins nothing by itself; it would do so too late.
    driver = sqlite3.connect(path, timeout=timeout_s, isolation_level=None)
    try:
        driver.execute("PRAGMA foreign_keys = ON")
        # EXTRA is FULL and a sync of the folder: without it a power loss may take back a commit
        # whose event is in the log already.
        driver.execute("PRAGMA synchronous = EXTRA")
    except BaseException:
        driver.close()
        raise
    return driver


@contextmanager
def _begun(driver: sqlite3.Connection, begin: str) -> Iterator[None]:
    """Commit at the end; after any error the state is that before."""
    driver.execute(begin)
    try:
        yield
        driver.commit()
    except BaseException:
        driver.rollback()
        raise


def _converted(err: sqlite3.Error, what: str) -> DataguardError:
    name = getattr(err, "sqlite_errorname", "")
    text = f"{what}: {err}"
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return ConflictError(text, hint="another dataguard writes for long; run it again later")
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_FULL")):
        return StoreUnreachableError(text, hint="check the folder's rights and its free space")
    if name.startswith(("SQLITE_IOERR", "SQLITE_NOLFS")):
        return StoreUnreachableError(text, hint="check the disk; `dmesg` tells its errors")
    return CatalogDamagedError(text, hint=_CHECK_HINT)
