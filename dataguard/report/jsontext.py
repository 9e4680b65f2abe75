"""A result as JSON text: one object, or a line for each row."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dataguard.report.encode import encode_result
from dataguard.report.jsonitem import item_text

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["json_lines", "json_text"]

_LONG = {
    "dataguard.model.copies.CopiesResult": ("copies", "findings"),
    "dataguard.model.results.audit.AuditResult": ("findings",),
    "dataguard.model.results.diff.DiffResult": ("added", "removed", "changed", "renamed"),
    "dataguard.model.results.register.RegisterResult": ("findings",),
    "dataguard.model.results.watch.WatchResult": ("findings",),
}
"""Lists that may be long, in the order of the fields, by the name of the result's class: no command
shall load the results of others."""


def json_text(command: str, result: object) -> Iterator[str]:
    """Yield one object; long lists one item after the other, since there may be millions."""
    emptied, names = _without_long_lists(result)
    rest = json.dumps(encode_result(command, emptied)) + "\n"
    for name in names:
        # No text can hold it: its quotes would be escaped.
        head, empty, rest = rest.partition(f'"{name}": []')
        yield head + empty[:-1]
        for number, item in enumerate(getattr(result, name)):
            yield (", " if number else "") + item_text(item)
        yield empty[-1]
    yield rest


def _without_long_lists(result: object) -> tuple[object, tuple[str, ...]]:
    """Return a result with its long lists empty, and their names in the order of the fields."""
    kind = type(result)
    names = _LONG.get(f"{kind.__module__}.{kind.__qualname__}")
    if names is None:
        return result, ()
    emptied: Any = result
    return replace(emptied, **dict.fromkeys(names, ())), names


def json_lines(command: str, result: object) -> Iterator[str]:
    """Yield a line for each row of a list, one line for any other result."""
    from dataguard.report.table import rows_of  # noqa: PLC0415  brings every kind of list

    rows = rows_of(result)
    if rows is None:
        yield json.dumps(encode_result(command, result)) + "\n"
        return
    for row in rows:
        yield json.dumps(row) + "\n"
