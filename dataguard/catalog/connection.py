"""What the catalog asks of a database inside a transaction, and how SQLite answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["Connection", "Row", "SqliteConnection"]

Row = dict[str, object]
"""Values as stored, by column."""


class Connection(Protocol):
    """A connection inside a transaction that somebody else begins and ends.

    Texts are in the SQL of `statements`, with `:named` parameters.
    """

    def execute(self, text: str, parameters: Mapping[str, object]) -> Iterator[Row]:
        """Run a statement at once; its rows can be taken as long as the transaction lasts."""

    def execute_many(self, text: str, rows: Iterable[Mapping[str, object]]) -> None:
        """Run a statement for each of some parameters."""

    def table_names(self) -> tuple[str, ...]:
        """Return the tables that there are."""


class SqliteConnection:
    """SQLite's, through the driver that Python brings."""

    def __init__(self, driver: sqlite3.Connection) -> None:
        self._driver = driver

    def execute(self, text: str, parameters: Mapping[str, object]) -> Iterator[Row]:
        """Run a statement at once; its rows can be taken as long as the transaction lasts."""
        cursor = self._driver.execute(text, parameters)
        names = [described[0] for described in cursor.description or ()]
        return (dict(zip(names, row, strict=True)) for row in cursor)

    def execute_many(self, text: str, rows: Iterable[Mapping[str, object]]) -> None:
        """Run a statement for each of some parameters."""
        self._driver.executemany(text, rows)

    def table_names(self) -> tuple[str, ...]:
        """Return the tables that there are, without SQLite's own."""
        text = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT GLOB 'sqlite_*'"
        return tuple(str(row["name"]) for row in self.execute(text, {}))
