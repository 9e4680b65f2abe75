"""Bringing an older database to the schema of this dataguard; nothing else migrates."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dataguard.catalog.database import Database
from dataguard.catalog.schema import check_schema, revision_of
from dataguard.catalog.tables import REVISIONS

if TYPE_CHECKING:
    from alembic.config import Config

__all__ = ["migrate", "upgrade"]


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

    with database.writing() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _config() -> Config:
    from alembic.config import Config  # noqa: PLC0415  # as above

    config = Config()
    folder = os.path.join(os.path.dirname(__file__), "migrations")
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
