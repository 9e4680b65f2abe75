"""Statements in the SQL that SQLite and PostgreSQL share.

A text has no names but those of our own tables and columns, which are looked up before; every
value is a `:named` parameter.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dataguard.catalog.description import Table

__all__ = [
    "Condition",
    "Select",
    "Statement",
    "above",
    "definition",
    "delete",
    "differs",
    "insert_text",
    "is_in",
    "select",
    "stored",
    "upsert_text",
]

_RESERVED = frozenset(["key"])


@dataclass(frozen=True, slots=True)
class Statement:
    """A text, and the values of its parameters as the database takes them."""

    text: str
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Condition:
    """What a column has to be: compared with one value, or in some values or in a query's."""

    column: str
    operator: str
    values: tuple[object, ...] | Select


@dataclass(frozen=True, slots=True)
class Select:
    """A question to one table; `only` and the others return a changed copy.

    Columns to order by go down where they begin with `-`.
    """

    table: Table
    columns: tuple[str, ...]
    conditions: tuple[Condition, ...] = ()
    order: tuple[str, ...] = ()
    most: int | None = None

    def only(self, *columns: str) -> Select:
        """Ask for some of the columns."""
        return replace(self, columns=columns)

    def where(self, *conditions: Condition) -> Select:
        """Ask for rows that fulfil these conditions too."""
        return replace(self, conditions=(*self.conditions, *conditions))

    def order_by(self, *columns: str) -> Select:
        """Ask for rows in an order."""
        return replace(self, order=columns)

    def limit(self, count: int) -> Select:
        """Ask for the first rows only."""
        return replace(self, most=count)

    def statement(self) -> Statement:
        """Return the statement; raises KeyError for a column that the table does not have."""
        parameters: dict[str, object] = {}
        return Statement(_query(self, parameters), parameters)


def select(table: Table, **values: object) -> Select:
    """Ask for the rows that have these values; None means any."""
    given = {name: value for name, value in values.items() if value is not None}
    return Select(table, table.names, _equal(given))


def is_in(column: str, values: Iterable[object] | Select) -> Condition:
    """Demand one of these values; of a query, those of its only column."""
    return Condition(column, "IN", values if isinstance(values, Select) else tuple(values))


def differs(column: str, value: object) -> Condition:
    """Demand another value."""
    return Condition(column, "<>", (value,))


def above(column: str, value: object) -> Condition:
    """Demand a greater value."""
    return Condition(column, ">", (value,))


def delete(table: Table, values: Mapping[str, object]) -> Statement:
    """Return the statement that removes the rows that have these values."""
    parameters: dict[str, object] = {}
    conditions = _conditions(table, _equal(values), parameters)
    text = f"DELETE FROM {_quoted(table.name)}{conditions}"  # noqa: S608  # see the module
    return Statement(text, parameters)


@cache
def insert_text(table: Table) -> str:
    """Return the text that inserts a row; see `stored`."""
    marks = ", ".join(f":{name}" for name in table.names)
    into = f"{_quoted(table.name)} ({_listed(table.names)})"
    return f"INSERT INTO {into} VALUES ({marks})"  # noqa: S608  # see the module


@cache
def upsert_text(table: Table) -> str:
    """Return the text that inserts a row, or replaces that with the same key; see `stored`."""
    new = [f"{_quoted(c.name)} = excluded.{_quoted(c.name)}" for c in table.columns if not c.key]
    key = _listed(table.primary_key)
    return f"{insert_text(table)} ON CONFLICT ({key}) DO UPDATE SET {', '.join(new)}"


def stored(table: Table, record: Mapping[str, object]) -> dict[str, object]:
    """Return a record's row as parameters: every column, NULL where the record says nothing.

    Raises:
        TypeError: a value does not fit its column.
        ValueError: as above.
    """
    return {column.name: column.kind.store(record.get(column.name)) for column in table.columns}


def definition(table: Table) -> tuple[str, ...]:
    """Return the statements that make a table, letter by letter as the migrations write them."""
    lines = [_column(c.name, c.kind.declared, nullable=c.nullable) for c in table.columns]
    lines.append(f"CONSTRAINT pk_{table.name} PRIMARY KEY ({_listed(table.primary_key)})")
    lines += [
        f"CONSTRAINT uq_{table.name}_{'_'.join(columns)} UNIQUE ({_listed(columns)})"
        for columns in table.unique
    ]
    lines += [
        f"CONSTRAINT fk_{table.name}_{key.table} FOREIGN KEY({_listed(key.columns)}) "
        f"REFERENCES {_quoted(key.table)} ({_listed(key.named)})"
        for key in table.foreign_keys
    ]
    text = ", \n\t".join(lines)
    indexes = (
        f"CREATE INDEX ix_{table.name}_{'_'.join(columns)} "
        f"ON {_quoted(table.name)} ({_listed(columns)})"
        for columns in table.indexes
    )
    return (f"CREATE TABLE {_quoted(table.name)} (\n\t{text}\n)", *indexes)


def _column(name: str, declared: str, *, nullable: bool) -> str:
    return f"{_quoted(name)} {declared}" + ("" if nullable else " NOT NULL")


def _query(query: Select, parameters: dict[str, object]) -> str:
    table = query.table
    for name in (*query.columns, *(name.removeprefix("-") for name in query.order)):
        table.column(name)
    text = f"SELECT {_listed(query.columns)} FROM {_quoted(table.name)}"  # noqa: S608  # see the module
    text += _conditions(table, query.conditions, parameters)
    if query.order:
        text += f" ORDER BY {', '.join(map(_ordered, query.order))}"
    return text if query.most is None else f"{text} LIMIT {query.most}"


def _ordered(name: str) -> str:
    column = name.removeprefix("-")
    return _quoted(column) + (" DESC" if name != column else "")


def _equal(values: Mapping[str, object]) -> tuple[Condition, ...]:
    return tuple(Condition(name, "=", (value,)) for name, value in values.items())


def _conditions(
    table: Table, conditions: Iterable[Condition], parameters: dict[str, object]
) -> str:
    text = " AND ".join(_condition(table, one, parameters) for one in conditions)
    return f" WHERE {text}" if text else ""


def _condition(table: Table, condition: Condition, parameters: dict[str, object]) -> str:
    column = table.column(condition.column)
    name = _quoted(column.name)
    if isinstance(condition.values, Select):
        return f"{name} {condition.operator} ({_query(condition.values, parameters)})"
    if not condition.values:
        return "1 = 0"  # nothing is in an empty list, which PostgreSQL has no way to write
    marks = []
    for value in condition.values:
        marks.append(f":p{len(parameters)}")
        parameters[f"p{len(parameters)}"] = column.kind.store(value)
    listed = ", ".join(marks)
    return f"{name} {condition.operator} " + (
        f"({listed})" if condition.operator == "IN" else listed
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(_quoted, names))


def _quoted(name: str) -> str:
    return f'"{name}"' if name in _RESERVED else name
