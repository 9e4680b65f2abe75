"""Results that are lists, as rows: for CSV and JSON lines."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator  # singledispatch reads the annotations
from functools import singledispatch
from typing import TYPE_CHECKING, Any

from dataguard.core.paths import escape, json_fields
from dataguard.errors import UsageError
from dataguard.model.results.audit import AuditResult
from dataguard.model.results.diff import DiffResult
from dataguard.model.results.findings import FindingList
from dataguard.model.results.list import DatasetList
from dataguard.model.results.log import VersionLog
from dataguard.model.results.watch import WatchResult
from dataguard.report.encode import encode

if TYPE_CHECKING:
    from dataguard.model.entry import Unreadable

__all__ = ["rows_of", "to_csv"]

_FINDING = (
    *("id", "code", "severity", "dataset", "version", "path", "path_b64", "message", "remedy"),
    *("first_seen", "last_seen", "count", "state", "evidence"),
)
_COLUMNS: dict[type, tuple[str, ...]] = {
    AuditResult: _FINDING,
    WatchResult: _FINDING,
    FindingList: _FINDING,
    DatasetList: (
        *("dataset", "version", "root", "files", "bytes", "location", "state", "seal"),
        *("pinned", "canaries"),
    ),
    VersionLog: ("seq", "time", "user", "host", "what", "version", "detail"),
    DiffResult: (
        *("difference", "path", "path_b64", "kind", "size"),
        *("previous_path", "previous_path_b64", "previous_kind", "previous_size"),
    ),
}
"""Columns that a table always has, in this order, so that empty ones have a header too."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@singledispatch
def rows_of(result: object) -> Iterable[dict[str, Any]] | None:
    """Return the rows of a result as JSON objects, to be read once; None where it is no list."""
    if isinstance(result, tuple):
        return [encode(item) for item in result]
    return None


@rows_of.register
def _(result: AuditResult | WatchResult) -> Iterator[dict[str, Any]]:
    for finding in result.findings:
        yield encode(finding)
    # What could not be checked is a row too, or a table would make it look fine.
    for item in result.unreadable:
        yield {"severity": "unchecked", **json_fields(item.path), "message": _why(item)}


@rows_of.register
def _(result: FindingList) -> Iterator[dict[str, Any]]:
    return map(encode, result.findings)


@rows_of.register
def _(result: DatasetList) -> list[dict[str, Any]]:
    return [encode(row) for row in result.datasets]


@rows_of.register
def _(result: VersionLog) -> list[dict[str, Any]]:
    return [encode(row) for row in result.rows]


@rows_of.register
def _(result: DiffResult) -> Iterator[dict[str, Any]]:
    for name in ("added", "removed", "changed", "renamed"):
        for entry in getattr(result, name):
            yield {"difference": name, **encode(entry)}


def to_csv(result: object) -> Iterator[str]:
    r"""Yield the rows as CSV with a header (RFC 4180), a line at a time.

    Cells are escaped as in text output; a cell that a spreadsheet would take for a formula
    begins with `\x` and the code of its first character. Findings, of which there may be
    millions, are not held; a result whose columns depend on its rows is.

    Raises:
        UsageError: the result is no list.
    """
    rows = rows_of(result)
    if rows is None:
        raise UsageError("this command has no CSV output", hint="use --format json")
    names = _COLUMNS.get(type(result), ())
    if names is not _FINDING:
        rows = list(rows)
        names = tuple(dict.fromkeys((*names, *(name for row in rows for name in row))))
    line = _Line()
    writer = csv.writer(line, lineterminator="\r\n")
    writer.writerow(names)
    yield line.text
    for row in rows:
        writer.writerow(_cells(row, names))
        yield line.text


class _Line:
    """Where a CSV writer leaves its last line."""

    text = ""

    def write(self, text: str) -> None:
        self.text = text


def _why(item: Unreadable) -> str:
    return f"{item.obstacle}: {item.detail}" if item.detail else str(item.obstacle)


def _cells(row: dict[str, Any], names: Iterable[str]) -> list[str]:
    return [_cell(row.get(name)) for name in names]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (dict, list)):
        return json.dumps(value)
    if not isinstance(value, str):
        return str(value)
    text = escape(value)
    return f"\\x{ord(text[0]):02x}{text[1:]}" if text.startswith(_FORMULA) else text
