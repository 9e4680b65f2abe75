"""Lines for datasets and their versions: what was registered, listed, compared, audited, found."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from dataguard.core.leasewords import lease_words
from dataguard.core.paths import display, escape
from dataguard.model.dataset import LocationState
from dataguard.model.results import (
    AuditResult,
    DatasetList,
    DiffResult,
    FindingList,
    RegisterResult,
    StandingResult,
    TagResult,
    VersionDetails,
    VersionLog,
)
from dataguard.report.lines import (
    SHOWN,
    Paint,
    columns,
    finding_line,
    finding_lines,
    gap_lines,
    lines_of,
    more,
    number,
    place,
    size_words,
    time_words,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.model.audit import AuditRecord
    from dataguard.model.results import AuditedVersion

__all__: list[str] = []


@lines_of.register(RegisterResult)
def _(result: RegisterResult, paint: Paint, verbose: int) -> Iterator[str]:
    yield _registered(result, paint)
    if result.root is not None:
        yield f"  root      {result.root} ({result.algorithm}, {result.strength})"
    yield f"  content   {number(result.files, 'file')}, {size_words(result.bytes)}"
    if result.refused and result.version is not None and result.found_files is not None:
        size = size_words(result.found_bytes or 0)
        yield f"  found     {number(result.found_files, 'file')}, {size}"
    yield f"  location  {place(result.location)}"
    yield f"  read      {number(result.hashed, 'file')}"
    if result.resumed:
        yield f"  resumed   {number(result.resumed, 'file')} read by the attempt before this one"
    if result.expected is not None:
        unlisted = number(result.unlisted, "file")
        yield f"  expected  {place(result.expected)}, {unlisted} not listed in it"
    yield f"  writable  {_writers(result)}"
    yield from finding_lines(result.findings, paint, verbose)
    yield from gap_lines(result.unreadable, paint)
    if result.hint is not None:
        yield paint("faint", f"hint: {escape(result.hint)}")
    if result.seal is not None:
        yield from lines_of(result.seal, paint, verbose)


@lines_of.register(DatasetList)
def _(result: DatasetList, paint: Paint, verbose: int) -> Iterator[str]:
    del verbose
    if not result.datasets:
        yield paint("faint", "no such datasets; `dataguard register NAME LOCATION` makes one")
        return
    rows = [
        (
            f"{row.dataset}@{row.version}",
            row.state,
            "" if row.seal == "none" else row.seal,
            number(row.files, "file"),
            size_words(row.bytes),
            row.root[:16],
            "-" if row.location is None else place(row.location),
        )
        for row in result.datasets
    ]
    yield from columns(rows)


@lines_of.register(VersionDetails)
def _(result: VersionDetails, paint: Paint, verbose: int) -> Iterator[str]:
    del verbose
    version = result.version
    yield paint("strong", version.reference) + f"  {version.state}"
    if version.state_reason:
        yield f"  reason    {escape(version.state_reason)}"
    yield f"  root      {version.root}"
    yield f"  digest    {version.algorithm}, {version.algorithm.strength}"
    yield f"  content   {number(version.files, 'file')}, {size_words(version.bytes)}"
    yield f"  made      {time_words(version.created)} by {escape(version.actor.user)}"
    if version.note:
        yield f"  note      {escape(version.note)}"
    yield from (f"  {escape(key)}: {escape(value)}" for key, value in version.metadata.items())
    yield from (f"  excluded  {escape(pattern)}" for pattern in version.exclude)
    if result.tags:
        yield f"  tags      {', '.join(tag.name for tag in result.tags)}"
    for location in result.locations:
        mark = "" if location.state is LocationState.ACTIVE else f" ({location.state})"
        yield f"  location  {place(location.place)}{mark}"
    yield from _use(result, paint)


@lines_of.register(VersionLog)
def _(result: VersionLog, paint: Paint, verbose: int) -> Iterator[str]:
    del paint, verbose
    yield from columns(
        [
            (
                time_words(row.time),
                f"{escape(row.user)}@{escape(row.host)}",
                "" if row.version is None else f"@{row.version}",
                row.what,
                escape(row.detail),
            )
            for row in result.rows
        ]
    )


@lines_of.register(DiffResult)
def _(result: DiffResult, paint: Paint, verbose: int) -> Iterator[str]:
    limit = None if verbose else SHOWN
    yield paint("strong", f"{result.left} -> {result.right}")
    for name, mark in (("added", "+"), ("removed", "-"), ("changed", "~")):
        entries = getattr(result, name)
        for entry in entries[:limit]:
            yield f"{mark} {display(entry.path)}  {size_words(entry.size)}"
        yield from more(len(entries), limit)
    for entry in result.renamed[:limit]:
        yield f"> {display(entry.previous_path)} -> {display(entry.path)}"
    yield from more(len(result.renamed), limit)
    counts = ((len(getattr(result, n)), n) for n in ("added", "removed", "changed", "renamed"))
    yield ", ".join(f"{count:,} {name}" for count, name in counts)


@lines_of.register(TagResult)
def _(result: TagResult, paint: Paint, verbose: int) -> Iterator[str]:
    del verbose
    verb = "would be" if result.dry_run else "is"
    before = "" if result.previous in (None, result.version) else f", was @{result.previous}"
    yield paint("good", f"{result.dataset}@{result.tag} {verb} {result.dataset}@{result.version}")
    yield f"  root {result.root}{before}"


@lines_of.register(StandingResult)
def _(result: StandingResult, paint: Paint, verbose: int) -> Iterator[str]:
    del verbose
    style = "good" if result.state == "active" else "warn"
    verb, past = ("would be", "is") if result.dry_run else ("is", "was")
    yield paint(style, f"{result.dataset}@{result.version} {verb} {result.state}") + (
        f", {past} {result.previous_state}"
    )
    for lease in result.leases:
        yield f"  {lease_words(lease)}"
    suspects = result.runs_since_good_audit if result.state == "quarantined" else ()
    if suspects:
        yield "  runs since its last clean full audit; what they wrote may rest on bad data:"
    for run in suspects:
        who = f"{escape(run.user)} on {escape(run.host)}, {time_words(run.started)}"
        yield f"    {run.run} {run.state} by {who}, outputs in {place(run.outputs)}"


@lines_of.register(AuditResult)
def _(result: AuditResult, paint: Paint, verbose: int) -> Iterator[str]:
    yield from map(partial(_audited, result, paint), result.versions)
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


def _registered(result: RegisterResult, paint: Paint) -> str:
    if result.refused:
        standing = "" if result.version is None else f"; {result.dataset}@{result.version} stands"
        return paint("bad", f"not registered: {result.dataset}") + standing
    if result.dry_run:
        return f"would register {result.dataset}; nothing was recorded"
    verb = "registered" if result.created else "already registered, unchanged:"
    return paint("good", f"{verb} {result.dataset}@{result.version}")


def _use(result: VersionDetails, paint: Paint) -> Iterator[str]:
    """Yield who uses a version, how it is protected and what the last audit said."""
    yield f"  guarantee {result.guarantee}"
    for mount in result.mounts:
        words = f"{mount.backend}, {mount.guarantee}, {escape(mount.actor.user)}@{mount.host}"
        yield f"  mount     {place(mount.target)} ({words})"
    for lease in result.leases:
        yield f"  lease     {lease_words(lease)}"
    for seal in result.seals:
        since = f"{time_words(seal.record.since)} by {escape(seal.record.actor.user)}"
        yield f"  seal      {seal.word}, {since}, at {place(seal.record.place)}"
        if seal.notice:
            yield "  " + paint("warn", escape(seal.notice))
    yield f"  audit     {_audit_words(result.last_audit, paint)}"
    yield f"  findings  {result.open_findings} open"
    for run in result.runs:
        yield f"  run       {run.id} {run.state} by {escape(run.actor.user)}"


def _audit_words(audit: AuditRecord | None, paint: Paint) -> str:
    if audit is None:
        return "never"
    clean = paint("good", "clean") if audit.clean else paint("bad", "not clean")
    return f"{audit.level}, {clean}, as of {time_words(audit.started)}"


def _audited(result: AuditResult, paint: Paint, one: AuditedVersion) -> str:
    if one.reason is not None:
        why = paint("warn", f"INCOMPLETE: {escape(one.reason)}")
        return f"{one.dataset}@{one.version} {why}{_at(one)}"
    clean = paint("good", "clean") if one.clean else paint("bad", "NOT CLEAN")
    clean = clean if one.complete else paint("warn", "INCOMPLETE")
    part = "" if result.slice is None else f", slice {result.slice}"
    part += "" if one.slices is None else f", {one.slices} slices"
    words = f"{result.level}{part}"
    how = "" if one.baseline or result.level == "full" else ", no baseline: read everything"
    files = number(one.checked_files, "file")
    return (
        f"{one.dataset}@{one.version} {clean} ({words}): {files}, "
        f"{size_words(one.checked_bytes)} read at {place(one.location)}{how}"
    )


def _at(one: AuditedVersion) -> str:
    return f" ({place(one.location)})" if one.location else ""


def _writers(result: RegisterResult) -> str:
    writers = result.writers
    words = [f"{escape(user)} ({number(count, 'file')})" for user, count in writers.owners.items()]
    words += [f"group {escape(g)} ({number(count, 'file')})" for g, count in writers.groups.items()]
    if writers.everybody:
        words.append(f"EVERYBODY ({number(writers.everybody, 'file')})")
    return ", ".join(words) or "by no one but root"
