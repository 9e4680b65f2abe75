"""Lines for watching: alerts, what is covered, what one look found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.core.paths import display, escape
from dataguard.model.alert import Alert
from dataguard.model.finding import Severity
from dataguard.model.results.watch import Covered, WatchCoverage, WatchResult, WatchUnit
from dataguard.report.lines import (
    Paint,
    finding_lines,
    gap_lines,
    lines_of,
    number,
    place,
    time_words,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dataguard.model.watch import Coverage, Limit

__all__: list[str] = []

_STYLE = {Severity.INFO: "faint", Severity.WARNING: "warn"}
_UNKNOWN = "unknown"
_LEASES = 3


@lines_of.register(Alert)
def _(result: Alert, paint: Paint, verbose: int) -> Iterator[str]:
    head = paint(_STYLE.get(result.severity, "bad"), f"{result.code} {result.severity}")
    where = "" if result.dataset is None else f"{result.dataset}@{result.version} "
    path = display(result.path) if result.path else "(whole version)"
    change = result.data.get("change")
    message = (
        escape(result.message)
        if change is None or result.count > 1
        else (f"{change}: {escape(result.message)}")
    )
    who = _writers(result.data.get("writers"))
    yield f"{time_words(result.time)} {head} {where}{path}: {message}{who}"
    yield from _leases(result.data)
    if verbose:
        yield f"  remedy: {escape(str(result.data.get('remedy', '')))}"


@lines_of.register(WatchCoverage)
def _(result: WatchCoverage, paint: Paint, verbose: int) -> Iterator[str]:
    del verbose
    for one in result.watched:
        yield from _covered(one, paint)
    for area in result.areas:
        yield paint("strong", "copies") + f" made in {place(area.place)}: {escape(area.source)}"
        if area.reason:
            yield paint("warn", f"  not told as they are made: {escape(area.reason)}")
    if result.no_audit is None:
        yield paint("strong", "writers") + " that end at once are named with --attribution audit"
    else:
        why = f" that end at once may stay unknown: {escape(result.no_audit)}"
        yield paint("strong", "writers") + why


@lines_of.register(WatchResult)
def _(result: WatchResult, paint: Paint, verbose: int) -> Iterator[str]:
    for one in result.watched:
        name = f"{one.dataset}@{one.version} at {place(one.location)}"
        yield f"{name}: not compared: {escape(one.reason)}" if one.reason else name
    yield f"compared {number(result.checked_files, 'file')}"
    if result.complete and not len(result.findings):
        yield paint("good", "everything is as it was registered")
    yield from finding_lines(result.findings, paint, verbose)
    yield from gap_lines(result.unreadable, paint)


@lines_of.register(WatchUnit)
def _(result: WatchUnit, paint: Paint, verbose: int) -> Iterator[str]:
    del paint, verbose
    yield from result.text.splitlines()


def _covered(one: Covered, paint: Paint) -> Iterator[str]:
    yield paint("strong", f"{one.dataset}@{one.version}") + f" at {place(one.location)}"
    if one.coverage is None:
        yield paint("bad", f"  not watched: {escape(one.reason)}")
        return
    coverage: Coverage = one.coverage
    yield f"  source      {coverage.source} on {escape(coverage.filesystem)}"
    if coverage.weaker_because:
        yield paint("warn", f"  not stronger because {escape(coverage.weaker_because)}")
    for name, items in (("sees", coverage.sees), ("blind to", coverage.blind_to)):
        for item in items:
            yield f"  {name:<11} {escape(item)}"
    for limit in coverage.limits:
        yield f"  limit       {_limit(limit)}"


def _limit(limit: Limit) -> str:
    used = "" if limit.used is None else f", {limit.used:,} in use"
    return f"{escape(limit.name)} = {limit.value:,}{used}; {escape(limit.hint)}"


def _leases(data: Mapping[str, object]) -> Iterator[str]:
    """Name the first of those who use the version now."""
    leases, held = data.get("leases"), data.get("leases_held", 0)
    if not isinstance(leases, list) or not isinstance(held, int):
        return
    for one in leases[:_LEASES]:
        yield f"  in use: {one['words']}"
    if held > _LEASES:
        yield f"  in use: {held - _LEASES} more"


def _writers(writers: object) -> str:
    named = [_writer(one) for one in writers if one] if isinstance(writers, list) else []
    return f" (by {', '.join(dict.fromkeys(named))})" if named else ""


def _writer(writer: Mapping[str, object]) -> str:
    known = {name: value for name, value in writer.items() if value != _UNKNOWN}
    if not known:
        return "unknown"
    who = str(known.get("user", known.get("uid", "unknown")))
    what = str(known.get("executable", "")).rpartition("/")[2]
    words = [who, what, f"pid {known['pid']}" if "pid" in known else ""]
    if "run" in known:
        words.append(f"run {known['run']}")
    return escape(" ".join(word for word in words if word))
