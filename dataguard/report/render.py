"""A result in the format that was asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.model.results import AuditResult, DiffResult
from dataguard.report.encode import encode, encode_result
from dataguard.report.table import rows_of, to_csv

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["parts", "render"]

_PART = 1 << 16


def render(command: str, result: object, form: str, *, color: bool, verbose: int = 0) -> str:
    """Return a result as `text`, `json`, `jsonl` or `csv`, ending with a newline if not empty.

    JSON is ASCII, and in text every name is one token on its line: no name can forge output.
    `jsonl` is one line for each row where the result is a list of rows.
    """
    return "".join(parts(command, result, form, color=color, verbose=verbose))


def parts(
    command: str, result: object, form: str, *, color: bool, verbose: int = 0
) -> Iterator[str]:
    """Yield what `render` returns, piece by piece, so that no more than a piece is in memory."""
    held: list[str] = []
    size = 0
    for text in _texts(command, result, form, color=color, verbose=verbose):
        held.append(text)
        size += len(text)
        if size >= _PART:
            yield "".join(held)
            held, size = [], 0
    if held:
        yield "".join(held)


def _texts(command: str, result: object, form: str, *, color: bool, verbose: int) -> Iterator[str]:
    match form:
        case "json":
            yield from _json(command, result)
        case "jsonl":
            yield from _json_lines(command, result)
        case "csv":
            yield from to_csv(result)
        case _:
            from dataguard.report.text import lines_of, painted, plain  # noqa: PLC0415  its forms

            paint = painted if color else plain
            yield from (line + "\n" for line in lines_of(result, paint, verbose))


def _json(command: str, result: object) -> Iterator[str]:
    """Yield one object; long lists one item after the other, since there may be millions."""
    emptied, names = _without_long_lists(result)
    rest = json.dumps(encode_result(command, emptied)) + "\n"
    for name in names:
        # No text can hold it: its quotes would be escaped.
        head, empty, rest = rest.partition(f'"{name}": []')
        yield head + empty[:-1]
        for number, item in enumerate(getattr(result, name)):
            yield (", " if number else "") + json.dumps(encode(item))
        yield empty[-1]
    yield rest


def _without_long_lists(result: object) -> tuple[object, tuple[str, ...]]:
    """Return a result with its long lists empty, and their names in the order of the fields."""
    match result:
        case AuditResult():
            return replace(result, findings=()), ("findings",)
        case DiffResult():
            emptied = replace(result, added=(), removed=(), changed=(), renamed=())
            return emptied, ("added", "removed", "changed", "renamed")
        case _:
            return result, ()


def _json_lines(command: str, result: object) -> Iterator[str]:
    rows = rows_of(result)
    if rows is None:
        yield json.dumps(encode_result(command, result)) + "\n"
        return
    for row in rows:
        yield json.dumps(row) + "\n"
