"""A result in the format that was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    # Each form brings classes and libraries that the others do not need.
    if form == "csv":
        from dataguard.report.table import to_csv  # noqa: PLC0415  as above

        yield from to_csv(result)
    elif form in ("json", "jsonl"):
        from dataguard.report import jsontext  # noqa: PLC0415  as above

        write = jsontext.json_text if form == "json" else jsontext.json_lines
        yield from write(command, result)
    else:
        from dataguard.report.lines import lines_of, painted, plain  # noqa: PLC0415  as above

        paint = painted if color else plain
        yield from (line + "\n" for line in lines_of(result, paint, verbose))
