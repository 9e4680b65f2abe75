"""A result in the format that was asked for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from dataguard.report.encode import encode_result
from dataguard.report.table import rows_of, to_csv
from dataguard.report.text import lines_of, painted, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["render"]


def render(command: str, result: object, form: str, *, color: bool, verbose: int = 0) -> str:
    """Return a result as `text`, `json`, `jsonl` or `csv`, ending with a newline if not empty.

    JSON is ASCII, and in text every name is one token on its line: no name can forge output.
    `jsonl` is one line for each row where the result is a list of rows.
    """
    match form:
        case "json":
            return json.dumps(encode_result(command, result)) + "\n"
        case "jsonl":
            return "".join(_json_lines(command, result))
        case "csv":
            return to_csv(result)
        case _:
            paint = painted if color else plain
            return "".join(line + "\n" for line in lines_of(result, paint, verbose))


def _json_lines(command: str, result: object) -> Iterator[str]:
    rows = rows_of(result)
    if rows is None:
        yield json.dumps(encode_result(command, result)) + "\n"
        return
    for row in rows:
        yield json.dumps(row) + "\n"
