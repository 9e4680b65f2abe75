"""How results become lines: the dispatch by kind of result, colour, and the words all share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator  # singledispatch reads the annotations
from functools import singledispatch
from heapq import nsmallest
from typing import TYPE_CHECKING, Any, TypeAlias

from dataguard.core.paths import display, escape
from dataguard.model.finding import Finding, Severity
from dataguard.report.forms import AS_LINES, load_forms

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from dataguard.model.entry import Unreadable
    from dataguard.model.objects import ObjectPlace

__all__ = [
    "SHOWN",
    "Paint",
    "columns",
    "finding_line",
    "finding_lines",
    "gap_lines",
    "lines_of",
    "more",
    "number",
    "painted",
    "pinned_words",
    "place",
    "plain",
    "size_words",
    "time_words",
]

Paint: TypeAlias = Callable[[str, str], str]
"""Colours a text in one of the styles `bad`, `warn`, `good`, `faint` and `strong`."""

SHOWN = 50
"""Lines of one list that are shown without -v."""

_CODES = {"bad": "31;1", "warn": "33", "good": "32", "faint": "2", "strong": "1"}
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_STYLE = {
    Severity.INFO: "faint",
    Severity.WARNING: "warn",
    Severity.ERROR: "bad",
    Severity.CRITICAL: "bad",
}


@singledispatch
def lines_of(result: Any, paint: Paint, verbose: int) -> Iterator[str]:
    """Yield the lines of a result; a kind without a form of its own is shown by field."""
    if load_forms(type(result), AS_LINES):
        yield from lines_of(result, paint, verbose)
        return
    from dataguard.report.encode import encode  # noqa: PLC0415  few have no form of their own

    for name, value in encode(result).items():
        yield from _field(name, value)


@lines_of.register
def _(result: tuple, paint: Paint, verbose: int) -> Iterator[str]:  # type: ignore[type-arg]
    if not result:
        yield paint("faint", "nothing")
    for item in result:
        yield from lines_of(item, paint, verbose)


def plain(_style: str, text: str) -> str:
    """Leave text as it is."""
    return text


def painted(style: str, text: str) -> str:
    """Colour text for a terminal."""
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m"


def size_words(size: int) -> str:
    """Return a size in bytes with a decimal unit: `229.5 MB`."""
    value, unit = float(size), _UNITS[0]
    for unit in _UNITS:
        if value < 1000 or unit == _UNITS[-1]:  # noqa: PLR2004  decimal units
            break
        value /= 1000
    return f"{size} B" if unit == "B" else f"{value:.1f} {unit}"


def number(count: int, one: str, several: str | None = None) -> str:
    """Return a count with its word: `1 file`, `2,000 files`."""
    return f"{count:,} {one if count == 1 else several or f'{one}s'}"


def time_words(time: datetime) -> str:
    """Return a time to the second: `2030-01-02 03:04:05Z`."""
    return f"{time:%Y-%m-%d %H:%M:%SZ}"


def pinned_words(objects: ObjectPlace) -> str:
    """Return whether the objects of a bucket are held by their versions."""
    return "yes, by version" if objects.pinned else objects.pinned_words


def place(text: str) -> str:
    """Return an absolute path or URL as one token."""
    return display(text.encode("utf-8", "surrogateescape"))


def columns(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Yield rows with their cells below one another."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def more(count: int, limit: int | None) -> Iterator[str]:
    """Yield a line that says how many were left out, if any were."""
    if limit is not None and count > limit:
        yield f"... and {count - limit:,} more; -v shows all"


def finding_lines(findings: Collection[Finding], paint: Paint, verbose: int) -> Iterator[str]:
    """Yield one line for each finding, the worst first, and their count by code.

    The findings, which are in path order, are not held: they are read once for each severity, or
    without `verbose` once, and then only those that are shown are kept.
    """
    counts: Counter[str] = Counter()
    counted = _counted(findings, counts)
    shown: Iterable[Finding]
    if verbose:
        present = {finding.severity for finding in counted}
        worst = sorted(present, key=_rank)
        shown = (one for severity in worst for one in findings if one.severity is severity)
    else:
        shown = nsmallest(SHOWN, counted, key=_worst)
    for finding in shown:
        yield finding_line(finding, paint)
    yield from more(counts.total(), None if verbose else SHOWN)
    if counts:
        yield "findings: " + ", ".join(f"{counts[code]:,} {code}" for code in sorted(counts))


def _counted(findings: Iterable[Finding], counts: Counter[str]) -> Iterator[Finding]:
    for finding in findings:
        counts[finding.code.name] += 1
        yield finding


def _worst(finding: Finding) -> tuple[int, bytes]:
    return _rank(finding.severity), finding.path


def _rank(severity: Severity) -> int:
    return -severity.rank


def finding_line(finding: Finding, paint: Paint) -> str:
    """Return code, severity, path and message of a finding."""
    path = display(finding.path) if finding.path else "(whole version)"
    head = paint(_STYLE[finding.severity], f"{finding.code.name} {finding.severity}")
    return f"{head} {path}: {escape(finding.message)}"


def gap_lines(unreadable: Iterable[Unreadable], paint: Paint) -> Iterator[str]:
    """Yield one line for each path that could not be checked, and their count."""
    listed = list(unreadable)
    for item in listed:
        path = display(item.path) if item.path else "(everything)"
        detail = f" ({escape(item.detail)})" if item.detail else ""
        yield paint("warn", f"UNCHECKED {path}") + f": {item.obstacle}{detail}"
    if listed:
        yield f"could not be checked: {len(listed):,}"


def _field(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        for item in value:
            yield f"{name}: " + ", ".join(f"{k}={escape(str(v))}" for k, v in item.items())
        return
    yield f"{name}: {escape(str(value))}"
