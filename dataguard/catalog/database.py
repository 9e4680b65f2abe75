"""Opening the catalog's database: what SQLite needs to be safe, and its errors as ours."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool, StaticPool

from dataguard.catalog.filesystem import check_local
from dataguard.errors import (
    CatalogDamagedError,
    ConfigurationError,
    ConflictError,
    DataguardError,
    NotFoundError,
    StoreUnreachableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Table

__all__ = ["Database", "database_path", "sqlite_url", "upsert"]

_BUSY_TIMEOUT_S = 30
_CHECK_HINT = "`dataguard catalog check` says what is damaged; `dataguard catalog rebuild` repairs"


class Database:
    """An open database; connections last for one transaction, so it may be used after a fork.

    `path` is the file's path, None in memory.
    """

    def __init__(self, engine: Engine, path: str | None) -> None:
        self.path = path
        self._engine = engine
        self._writing = engine.execution_options(writing=True)

    @classmethod
    def open(cls, url: str, *, create: bool) -> Database:
        """Open the database at a URL; `sqlite:////absolute/path?timeout=SECONDS` for SQLite.

        Raises:
            ConfigurationError: the URL makes no sense, or leads to a network file system.
            NotFoundError: there is no such file and `create` is off.
        """
        path = database_path(url)
        check_local(os.path.dirname(path))
        if not create and not os.path.exists(path):
            raise NotFoundError(
                f"no catalog at `{path}`", hint="`dataguard catalog init` makes one"
            )
        return cls(_engine(make_url(url), poolclass=NullPool), path)

    @classmethod
    def in_memory(cls) -> Database:
        """Open an empty database that is gone when closed."""
        return cls(_engine(make_url("sqlite://"), poolclass=StaticPool), None)

    def close(self) -> None:
        """Let go of every connection."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection that sees one consistent state.

        Raises:
            CatalogDamagedError: the file is no database, or damaged.
            ConflictError: somebody else kept the database locked for too long.
            StoreUnreachableError: the file cannot be read.
        """
        with self._converting("read"), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection that is the only writer; commits at the end, or nothing happened.

        Raises:
            CatalogDamagedError: the file is no database, or damaged.
            ConflictError: somebody else kept the database locked for too long, or replaced it.
            StoreUnreachableError: the file cannot be written.
        """
        before = self._identity()
        with self._converting("write"), self._writing.begin() as connection:
            if before is not None and before != self._identity():
                raise ConflictError(
                    "the catalog was rebuilt at this moment", hint="run the same command again"
                )
            yield connection

    def snapshot(self) -> Database:
        """Return a copy in memory of one consistent state; others may go on writing.

        Raises:
            CatalogDamagedError: the file is no database.
            ConflictError: somebody else kept the database locked for too long.
            StoreUnreachableError: the file cannot be read.
        """
        copy = Database.in_memory()
        with self._converting("copy"), self.driver() as source, copy.driver() as target:
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
            self._converting("copy"),
            self.driver() as source,
            closing(sqlite3.connect(path)) as target,
        ):
            source.backup(target)

    def faults(self) -> tuple[str, ...]:
        """Return what the database itself finds wrong with its file and its keys."""
        with self.reading() as connection:
            found = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
            orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        faults = [text for text in found if text != "ok"]
        return (*faults, *(f"a row of `{o[0]}` names no row of `{o[2]}`" for o in orphans))

    @contextmanager
    def driver(self) -> Iterator[sqlite3.Connection]:
        """Give the driver's own connection, outside of any transaction."""
        with closing(self._engine.raw_connection()) as connection:
            yield cast(sqlite3.Connection, connection.driver_connection)

    def _identity(self) -> tuple[int, int] | None:
        # A rebuild puts another file in place; whoever waited for the old one must not write it.
        try:
            found = os.stat(self.path) if self.path is not None else None
        except OSError:
            return None
        return None if found is None else (found.st_dev, found.st_ino)

    @contextmanager
    def _converting(self, operation: str) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as err:
            raise _converted(err, f"cannot {operation} the catalog `{self.path}`") from err


def database_path(url: str) -> str:
    """Return the file of a database URL.

    Raises:
        ConfigurationError: the URL makes no sense, or names another database than SQLite.
    """
    hint = "write sqlite:////absolute/path/catalog.db"
    try:
        parsed = make_url(url)
    except ArgumentError as err:
        raise ConfigurationError(f"`{url}` is no database URL", hint=hint) from err
    if parsed.get_backend_name() != "sqlite":
        name = parsed.get_backend_name()
        raise ConfigurationError(f"catalogs on `{name}` are not supported yet", hint=hint)
    if not parsed.database or not parsed.database.startswith("/"):
        raise ConfigurationError(f"`{url}` names no absolute path", hint=hint)
    return parsed.database


def sqlite_url(path: str) -> str:
    """Return the URL of a database file, `database_path(sqlite_url(p)) == p`.

    Raises:
        ConfigurationError: the path is not UTF-8, which a URL cannot say.
    """
    try:
        return URL.create("sqlite", database=path).render_as_string(hide_password=False)
    except UnicodeEncodeError as err:
        raise ConfigurationError(
            f"the path of the catalog is not UTF-8: {path!a}",
            hint="set DATAGUARD_HOME to another folder",
        ) from err


def upsert(connection: Connection, table: Table, rows: Sequence[dict[str, object]]) -> None:
    """Insert rows with all columns of the table, or replace those with the same primary key."""
    key = {column.name for column in table.primary_key}
    insert = sqlite.insert(table)
    new = {c.name: insert.excluded[c.name] for c in table.c if c.name not in key}
    connection.execute(insert.on_conflict_do_update(index_elements=key, set_=new), rows)


def _engine(url: URL, *, poolclass: type[NullPool | StaticPool]) -> Engine:
    wait: dict[str, Any] = {} if "timeout" in url.query else {"timeout": _BUSY_TIMEOUT_S}
    engine = create_engine(url, poolclass=poolclass, connect_args=wait)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: sqlite3.Connection, record: object) -> None:
    del record
    connection.isolation_level = None  # the driver begins too late; `_begin` does it
    connection.execute("PRAGMA foreign_keys = ON")
    # EXTRA is FULL and a sync of the folder: without it a power loss may take back a commit
    # whose event is in the log already.
    connection.execute("PRAGMA synchronous = EXTRA")


def _begin(connection: Connection) -> None:
    # A deferred transaction that writes later fails at once where another one wrote meanwhile.
    writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _converted(err: SQLAlchemyError | sqlite3.Error, what: str) -> DataguardError:
    original = err.orig if isinstance(err, DBAPIError) else err
    name = getattr(original, "sqlite_errorname", "")
    text = f"{what}: {original}"
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return ConflictError(text, hint="another dataguard writes for long; run it again later")
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_FULL")):
        return StoreUnreachableError(text, hint="check the folder's rights and its free space")
    if name.startswith(("SQLITE_IOERR", "SQLITE_NOLFS")):
        return StoreUnreachableError(text, hint="check the disk; `dmesg` tells its errors")
    return CatalogDamagedError(text, hint=_CHECK_HINT)
