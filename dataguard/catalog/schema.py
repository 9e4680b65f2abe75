"""Which schema a database has: making a new one, and refusing those that do not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, inspect, select

from dataguard.catalog.tables import METADATA, REVISION, REVISIONS
from dataguard.errors import CatalogDamagedError, ConflictError

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["check_schema", "create_schema", "is_empty", "revision_of"]


def is_empty(connection: Connection) -> bool:
    """Whether the database has no tables: a crash before the first commit leaves it so."""
    return not inspect(connection).get_table_names()


def create_schema(connection: Connection) -> None:
    """Make all tables of an empty database, as the migrations would (alembic starts slowly)."""
    METADATA.create_all(connection)
    REVISION.create(connection)
    connection.execute(insert(REVISION), {"version_num": REVISIONS[-1]})


def revision_of(connection: Connection) -> str:
    """Return the name of a database's schema; empty where it has none."""
    return connection.execute(select(REVISION.c.version_num)).scalar() or ""


def check_schema(connection: Connection) -> None:
    """Check that the database has the schema of this dataguard.

    Raises:
        CatalogDamagedError: it is newer than this dataguard, or not a catalog.
        ConflictError: it is older and has to be upgraded first.
    """
    found = revision_of(connection)
    if found == REVISIONS[-1]:
        return
    if found in REVISIONS:
        raise ConflictError(
            f"the catalog has the older schema {found}, this dataguard needs {REVISIONS[-1]}",
            hint="`dataguard catalog backup FILE`, then `dataguard catalog upgrade`",
        )
    raise CatalogDamagedError(
        f"the catalog has schema `{found}`, this dataguard knows up to {REVISIONS[-1]}",
        hint="a newer dataguard made it: update dataguard",
    )
