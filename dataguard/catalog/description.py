"""What a table is: its columns, keys and indexes as plain values, which cost nothing to import."""

from __future__ import annotations

from dataguard.catalog.columns import NAME, Kind
from dataguard.model.dataclass import dataclass

__all__ = ["Column", "ForeignKey", "Table"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column, named after the record's member that it holds; `key`: part of the primary key."""

    name: str
    kind: Kind = NAME
    nullable: bool = False
    key: bool = False


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """Columns that must name a row of another table, or hold NULL."""

    columns: tuple[str, ...]
    table: str
    named: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A table; `unique` and `indexes` are groups of columns. Equal to itself only."""

    name: str
    columns: tuple[Column, ...]
    foreign_keys: tuple[ForeignKey, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All columns, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The columns that name a row."""
        return tuple(column.name for column in self.columns if column.key)

    def column(self, name: str) -> Column:
        """Return a column; raises KeyError where there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)
