"""Lines for audits and for findings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.core.objectplaces import is_objects
from dataguard.core.paths import escape
from dataguard.model.results.audit import AuditResult
from dataguard.model.results.findings import FindingList
from dataguard.report.lines import (
    Paint,
    finding_line,
    finding_lines,
    gap_lines,
    lines_of,
    number,
    place,
    size_words,
    time_words,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.model.results.audit import AuditedVersion

__all__: list[str] = []


@lines_of.register(AuditResult)
def _(result: AuditResult, paint: Paint, verbose: int) -> Iterator[str]:
    for one in result.versions:
        yield _audited(result, paint, one)
        yield from _proof(one)
    if result.level_note:
        yield f"  {result.level_note}"
    if not result.versions:
        yield paint("faint", "nothing to audit")
    yield from finding_lines(result.findings, paint, verbose)
    yield from gap_lines(result.unreadable, paint)


@lines_of.register(FindingList)
def _(result: FindingList, paint: Paint, verbose: int) -> Iterator[str]:
    if not result.findings:
        yield paint("good", "no findings")
    for finding in result.findings:
        where = "" if finding.dataset is None else f"{finding.dataset}@{finding.version or '-'}, "
        times = f"{finding.state}, seen {finding.count}x, last {time_words(finding.last_seen)}"
        yield f"{finding.id}  {finding_line(finding, paint)}"
        yield paint("faint", f"  {where}{times}")
        if verbose:
            yield f"  remedy: {finding.remedy}"
            for name, value in finding.evidence.items():
                yield f"  {escape(name)}: {escape(str(value))}"


def _audited(result: AuditResult, paint: Paint, one: AuditedVersion) -> str:
    if one.reason is not None:
        why = paint("warn", f"INCOMPLETE: {escape(one.reason)}")
        return f"{one.dataset}@{one.version} {why}{_at(one)}"
    clean = paint("good", "clean") if one.clean else paint("bad", "NOT CLEAN")
    clean = clean if one.complete else paint("warn", "INCOMPLETE")
    part = "" if result.slice is None else f", slice {result.slice}"
    part += "" if one.slices is None else f", {one.slices} slices"
    level = one.level or result.level
    words = f"{level}{part}"
    if is_objects(one.location):
        words = f"level {level.number}, {words}"
    how = "" if one.baseline or level == "full" else ", no baseline: read everything"
    files = number(one.checked_files, "file")
    return (
        f"{one.dataset}@{one.version} {clean} ({words}): {files}, "
        f"{size_words(one.checked_bytes)} read at {place(one.location)}{how}"
    )


def _proof(one: AuditedVersion) -> Iterator[str]:
    """Say of a bucket what was proven: there it is not the same as that nothing was found."""
    if not is_objects(one.location):
        return
    if one.complete and one.clean:
        yield f"  proven: {one.proves}"
    for words in one.protection:
        yield f"  writing there: {escape(words)}"


def _at(one: AuditedVersion) -> str:
    return f" ({place(one.location)})" if one.location else ""
