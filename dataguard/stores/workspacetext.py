"""The text of `dataguard.toml` and `dataguard.lock`: parsing with line numbers, and writing."""

from __future__ import annotations

import base64
import os
import re
from typing import TYPE_CHECKING

import tomlkit
from tomlkit.exceptions import ParseError, TOMLKitError
from tomlkit.items import Table

from dataguard.core.paths import json_fields
from dataguard.errors import ConfigurationError, UsageError
from dataguard.model.dataclass import dataclass
from dataguard.model.digest import RootDigest
from dataguard.model.reference import Reference, check_dataset_name
from dataguard.model.workspace import LockEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["Declaration", "changed", "format_lock", "parse_declaration", "parse_lock"]

_LOCK_HEADER = "# Written by dataguard: what the references in dataguard.toml mean. Commit it.\n"


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a `dataguard.toml` says, as written."""

    outputs: str
    datasets: Mapping[str, str]
    policy: str | None


@dataclass(frozen=True, slots=True)
class _Source:
    """A parsed file that can tell on which line a key stands."""

    path: str
    text: str
    values: Mapping[str, object]

    def error(self, key: str, message: str) -> ConfigurationError:
        return ConfigurationError(f"{self.path}:{_line_of(self.text, key)}: {message}")

    def table(self, name: str, *, within: object = None) -> Mapping[str, object]:
        """Return a table, empty where there is none."""
        holder = self.values if within is None else within
        value = holder.get(name, {}) if isinstance(holder, dict) else None
        if not isinstance(value, dict):
            raise self.error(name, f"`{name}` must be a table")
        return value

    def text_of(self, table: Mapping[str, object], key: str) -> str:
        value = table.get(key)
        if not isinstance(value, str) or not value:
            raise self.error(key, f"`{key}` must be text" if key in table else f"no `{key}`")
        return value


def parse_declaration(path: str, content: bytes) -> Declaration:
    """Read a `dataguard.toml`; what it does not know is left alone.

    Raises:
        ConfigurationError: it is no TOML, or values make no sense; with the line.
    """
    source = _parsed(path, content)
    datasets = source.table("datasets")
    for name in datasets:
        _check(source, name, check_dataset_name, name)
        _check(source, name, Reference.parse, source.text_of(datasets, name))
    policy = source.table("policy")
    return Declaration(
        source.text_of(source.table("workspace"), "outputs"),
        {name: source.text_of(datasets, name) for name in datasets},
        source.text_of(policy, "file") if "file" in policy else None,
    )


def parse_lock(path: str, content: bytes) -> dict[str, LockEntry]:
    """Read a `dataguard.lock`; law: `parse_lock(p, format_lock(entries)) == entries`.

    Raises:
        ConfigurationError: it is no TOML, or values make no sense; with the line.
    """
    source = _parsed(path, content)
    datasets = source.table("datasets")
    return {name: _entry(source, name, source.table(name, within=datasets)) for name in datasets}


def format_lock(entries: Iterable[LockEntry]) -> str:
    """Return the text of a lock file; the same entries always give the same text."""
    tables = tomlkit.table(is_super_table=True)
    for entry in sorted(entries, key=lambda entry: entry.name):
        table = tomlkit.table()
        table["dataset"] = entry.dataset
        table["version"] = entry.version
        table["root"] = str(entry.root)
        for key, value in json_fields(os.fsencode(entry.location), "location").items():
            table[key] = value
        tables[entry.name] = table
    document = tomlkit.document()
    document["datasets"] = tables
    return f"{_LOCK_HEADER}\n{tomlkit.dumps(document)}"


def changed(path: str, content: bytes, table: str, key: str, value: str | None) -> str:
    """Return a TOML text with one value set (None: removed); comments and order survive.

    Raises:
        ConfigurationError: the content is no TOML.
    """
    document = _document(path, content)
    if value is None:
        found = document.get(table)
        if isinstance(found, Table):
            found.pop(key, None)
        return tomlkit.dumps(document)
    if table not in document:
        document[table] = tomlkit.table()
    holder = document[table]
    if not isinstance(holder, Table):
        raise ConfigurationError(f"{path}: `{table}` must be a table")
    if holder.get(key) != value:
        holder[key] = value
    return tomlkit.dumps(document)


def _entry(source: _Source, name: str, table: Mapping[str, object]) -> LockEntry:
    _check(source, name, check_dataset_name, name)
    version = table.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise source.error(name, f"`version` of `{name}` must be a number from 1")
    dataset, root = source.text_of(table, "dataset"), source.text_of(table, "root")
    _check(source, name, check_dataset_name, dataset)
    _check(source, name, RootDigest.parse, root)
    return LockEntry(name, dataset, version, RootDigest.parse(root), _location(source, table))


def _location(source: _Source, table: Mapping[str, object]) -> str:
    if "location_b64" not in table:
        return source.text_of(table, "location")
    try:
        encoded = source.text_of(table, "location_b64")
        return os.fsdecode(base64.b64decode(encoded, validate=True))
    except ValueError as err:
        raise source.error("location_b64", f"`location_b64` is no base64: {err}") from err


def _check(source: _Source, key: str, check: Callable[[str], object], value: str) -> None:
    try:
        check(value)
    except UsageError as err:
        raise source.error(key, err.message) from err


def _parsed(path: str, content: bytes) -> _Source:
    return _Source(path, content.decode(errors="replace"), _document(path, content).unwrap())


def _document(path: str, content: bytes) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(content.decode())
    except UnicodeDecodeError as err:
        line = content.count(b"\n", 0, err.start) + 1
        raise ConfigurationError(f"{path}:{line}: no UTF-8 text") from err
    except ParseError as err:
        raise ConfigurationError(f"{path}:{err.line}: {err}") from err
    except TOMLKitError as err:
        raise ConfigurationError(f"{path}: {err}") from err


def _line_of(text: str, key: str) -> int:
    """Return the first line that sets a key or opens its table; 1 where it is missing."""
    pattern = re.compile(rf"""\s*(?:\[[^\]]*)?["']?{re.escape(key)}["']?\s*(?:=|\])""")
    lines = enumerate(text.split("\n"), start=1)
    return next((number for number, line in lines if pattern.match(line)), 1)
