"""Bringing an older database to the schema of this dataguard; nothing else migrates."""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dataguard.catalog.database import Database
from dataguard.catalog.schema import check_schema, revision_of
from dataguard.catalog.tables import REVISIONS
from dataguard.errors import CatalogDamagedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.config import Config
    from sqlalchemy import Connection

__all__ = ["migrate", "upgrade"]

_HINT = "`dataguard catalog check` says what is damaged"


def upgrade(url: str) -> tuple[str, str]:
    """Run the missing migrations in one transaction; returns the schemas before and after.

    Raises:
        CatalogDamagedError: the database is damaged, or newer than this dataguard.
        ConflictError: it stayed locked for too long.
        NotFoundError: there is none.
        StoreUnreachableError: it cannot be written.
    """
    database = Database.open(url, create=False)
    try:
        with database.writing() as connection:
            before = revision_of(connection)
            if before not in REVISIONS:
                check_schema(connection)
        if before != REVISIONS[-1]:
            migrate(database)
    finally:
        database.close()
    return before, REVISIONS[-1]


def migrate(database: Database) -> None:
    """Run every migration that a database lacks, from nothing too."""
    from alembic import command  # noqa: PLC0415  # a quarter of a second, needed only here

    before = database.identity()
    with (
        database.converting("write"),
        database.driver() as driver,
        _attached(driver) as connection,
        database.locking(driver, before),
        connection.begin(),  # without it Alembic would commit after each migration
    ):
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def _attached(driver: sqlite3.Connection) -> Iterator[Connection]:
    """Give SQLAlchemy's connection over the driver's; enter it before a transaction begins.

    SQLAlchemy rolls back when it looks at a connection for the first time, and when it leaves it.
    """
    from sqlalchemy import create_engine  # noqa: PLC0415  # as above
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError  # noqa: PLC0415
    from sqlalchemy.pool import StaticPool  # noqa: PLC0415

    engine = create_engine("sqlite://", creator=lambda: driver, poolclass=StaticPool)
    try:
        with engine.connect() as connection:
            yield connection
    except SQLAlchemyError as err:
        original = err.orig if isinstance(err, DBAPIError) else None
        if isinstance(original, sqlite3.Error):
            raise original from err
        raise CatalogDamagedError(f"cannot upgrade the catalog: {err}", hint=_HINT) from err


def _config() -> Config:
    from alembic.config import Config  # noqa: PLC0415  # as above

    config = Config()
    folder = os.path.join(os.path.dirname(__file__), "migrations")
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
