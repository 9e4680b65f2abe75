"""Which schema a database has: making a new one, and refusing those that do not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.catalog.statements import definition
from dataguard.catalog.tables import REVISIONS, TABLES
from dataguard.errors import CatalogDamagedError, ConflictError

if TYPE_CHECKING:
    from dataguard.catalog.connection import Connection

__all__ = ["check_schema", "create_schema", "is_empty", "revision_of"]

# Alembic's own table, which names the schema of a database.
_REVISION = (
    "CREATE TABLE alembic_version (\n\tversion_num VARCHAR(32) NOT NULL, \n\t"
    "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)\n)"
)
_STAMP = "INSERT INTO alembic_version (version_num) VALUES (:revision)"


def is_empty(connection: Connection) -> bool:
    """Whether the database has no tables: a crash before the first commit leaves it so."""
    return not connection.table_names()


def create_schema(connection: Connection) -> None:
    """Make all tables of an empty database, as the migrations would (alembic starts slowly)."""
    for table in TABLES:
        for text in definition(table):
            connection.execute(text, {})
    connection.execute(_REVISION, {})
    connection.execute(_STAMP, {"revision": REVISIONS[-1]})


def revision_of(connection: Connection) -> str:
    """Return the name of a database's schema; empty where it has none."""
    found = next(connection.execute("SELECT version_num FROM alembic_version", {}), None)
    return "" if found is None else str(found["version_num"])


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
