"""Lines for seals: set and opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.core.paths import escape
from dataguard.model.seal import SEAL_SENTENCES, SealResult, SealState, UnsealResult
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
    from collections.abc import Iterator

__all__: list[str] = []


@lines_of.register(SealResult)
def _(result: SealResult, paint: Paint, verbose: int) -> Iterator[str]:
    yield _sealed(result, paint)
    yield f"  location  {place(result.location)} ({escape(result.filesystem)})"
    yield f"  seal      {result.seal}: {SEAL_SENTENCES[result.seal]}"
    if result.dry_run:
        yield f"  to seal   {_entries(result)}"
    elif not result.refused or result.changed:
        yield f"  sealed    {_entries(result)}, {result.changed:,} of them now"
        yield f"  read      {number(result.hashed, 'file')}"
    if result.excluded:
        yield f"  excluded  {number(result.excluded, 'name')}, not sealed; no new ones can come"
    yield from finding_lines(result.findings, paint, verbose)
    yield from gap_lines(result.unreadable, paint)


@lines_of.register(UnsealResult)
def _(result: UnsealResult, paint: Paint, verbose: int) -> Iterator[str]:
    del verbose
    verb = "would open" if result.dry_run else "opened"
    until = "for good" if result.until is None else f"until {time_words(result.until)}"
    reference = f"{result.dataset}@{result.version}"
    yield paint("warn", f"{verb} the seal of {reference} {until}")
    yield f"  location  {place(result.location)}"
    yield f"  reason    {escape(result.reason)}"
    if not result.dry_run:
        yield f"  opened    {_entries(result)}, {result.changed:,} of them now"
    yield from gap_lines(result.unreadable, paint)
    if result.until is not None and not result.dry_run:
        yield f"nothing closes it by itself: `dataguard seal {reference}`"


def _sealed(result: SealResult, paint: Paint) -> str:
    reference = f"{result.dataset}@{result.version}"
    if result.refused:
        left = result.state is SealState.SEALING
        rest = ": sealing is not finished, the same command goes on" if left else ""
        return paint("bad", f"not sealed: {reference}") + rest
    if result.dry_run:
        return f"would seal {reference}; nothing was changed"
    return paint("good", f"sealed {reference}")


def _entries(result: SealResult | UnsealResult) -> str:
    directories = number(result.directories, "directory", "directories")
    return f"{number(result.files, 'file')}, {directories}"
