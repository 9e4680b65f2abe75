"""Results as lines for people: understandable without colour, one token for each name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator  # singledispatch reads the annotations
from functools import singledispatch
from typing import TYPE_CHECKING, Any

from dataguard.core.paths import display, escape
from dataguard.model.dataset import LocationState
from dataguard.model.finding import Finding, Severity
from dataguard.model.gate import GateResult
from dataguard.model.mount import GUARANTEE_SENTENCES, MountReport, MountResult, UnmountResult
from dataguard.model.results import (
    AuditResult,
    DatasetList,
    DiffResult,
    FindingList,
    LineageResult,
    RegisterResult,
    RunResult,
    StandingResult,
    TagResult,
    VersionDetails,
    VersionLog,
)
from dataguard.report.encode import encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dataguard.model.entry import Unreadable
    from dataguard.model.run import RunOutput

__all__ = ["lines_of", "painted", "plain", "size_words"]


_CODES = {"bad": "31;1", "warn": "33", "good": "32", "faint": "2", "strong": "1"}
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_SHOWN = 50
_STYLE = {
    Severity.INFO: "faint",
    Severity.WARNING: "warn",
    Severity.ERROR: "bad",
    Severity.CRITICAL: "bad",
}


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


@singledispatch
def lines_of(result: Any, paint: Callable[[str, str], str], verbose: int) -> Iterator[str]:
    """Yield the lines of a result; a kind without a form of its own is shown by field."""
    if isinstance(result, tuple):
        for item in result:
            yield from lines_of(item, paint, verbose)
        return
    for name, value in encode(result).items():
        yield from _field(name, value)


@lines_of.register
def _(result: RegisterResult, paint: Callable[[str, str], str], verbose: int) -> Iterator[str]:
    if not (result.refused or result.dry_run):
        verb = "registered" if result.created else "already registered, unchanged:"
        yield paint("good", f"{verb} {result.dataset}@{result.version}")
    elif not result.refused:
        yield f"would register {result.dataset}; nothing was recorded"
    else:
        yield paint("bad", f"not registered: {result.dataset}")
    if result.root is not None:
        yield f"  root      {result.root} ({result.algorithm}, {result.strength})"
    yield f"  content   {result.files:,} files, {size_words(result.bytes)}"
    yield f"  location  {display(result.location.encode('utf-8', 'surrogateescape'))}"
    yield f"  read      {result.hashed:,} files"
    if result.expected is not None:
        yield f"  expected  {escape(result.expected)}, {result.unlisted:,} files not listed in it"
    yield f"  writable  {_writers(result)}"
    yield from _findings(result.findings, paint, verbose)
    yield from _gaps(result.unreadable, paint)


@lines_of.register
def _(result: DatasetList, paint: Callable[[str, str], str], verbose: int) -> Iterator[str]:
    del verbose
    if not result.datasets:
        yield paint("faint", "no datasets; `dataguard register NAME LOCATION` makes the first")
        return
    rows = [
        (
            f"{row.dataset}@{row.version}",
            row.state,
            f"{row.files:,} files",
            size_words(row.bytes),
            row.root[:16],
            display((row.location or "").encode("utf-8", "surrogateescape")),
        )
        for row in result.datasets
    ]
    yield from _columns(rows)


@lines_of.register
def _(result: VersionDetails, paint: Callable[[str, str], str], verbose: int) -> Iterator[str]:
    del verbose
    version = result.version
    yield paint("strong", version.reference) + f"  {version.state}"
    if version.state_reason:
        yield f"  reason    {escape(version.state_reason)}"
    yield f"  root      {version.root}"
    yield f"  digest    {version.algorithm}, {version.algorithm.strength}"
    yield f"  content   {version.files:,} files, {size_words(version.bytes)}"
    yield f"  made      {version.created:%Y-%m-%d %H:%M:%SZ} by {escape(version.actor.user)}"
    if version.note:
        yield f"  note      {escape(version.note)}"
    if result.tags:
        yield f"  tags      {', '.join(tag.name for tag in result.tags)}"
    for location in result.locations:
        mark = "" if location.state is LocationState.ACTIVE else f" ({location.state})"
        yield f"  location  {_place(location.place)}{mark}"
    yield f"  guarantee {result.guarantee}"
    for mount in result.mounts:
        words = f"{mount.backend}, {mount.guarantee}, {escape(mount.actor.user)}@{mount.host}"
        yield f"  mount     {_place(mount.target)} ({words})"
    audit = result.last_audit
    if audit is None:
        yield "  audit     never"
    else:
        clean = paint("good", "clean") if audit.clean else paint("bad", "not clean")
        yield f"  audit     {audit.level}, {clean}, {audit.finished:%Y-%m-%d %H:%M:%SZ}"
    yield f"  findings  {result.open_findings} open"
    for run in result.runs:
        yield f"  run       {run.id} {run.state} by {escape(run.actor.user)}"


@lines_of.register
def _(result: VersionLog, paint: Callable[[str, str], str], verbose: int) -> Iterator[str]:
    del paint, verbose
    yield from _columns(
        [
            (
                f"{row.time:%Y-%m-%d %H:%M:%SZ}",
                f"{escape(row.user)}@{escape(row.host)}",
                "" if row.version is None else f"@{row.version}",
                row.what,
                escape(row.detail),
            )
            for row in result.rows
        ]
    )


@lines_of.register
def _(result: DiffResult, paint: Callable[[str, str], str], verbose: int) -> Iterator[str]:
    limit = None if verbose else _SHOWN
    yield paint("strong", f"{result.left} -> {result.right}")
    for name, mark in (("added", "+"), ("removed", "-"), ("changed", "~")):
        entries = getattr(result, name)
        for entry in entries[:limit]:
            yield f"{mark} {display(entry.path)}  {size_words(entry.size)}"
        yield from _more(len(entries), limit)
    for entry in result.renamed[:limit]:
        yield f"> {display(entry.previous_path)} -> {display(entry.path)}"
    yield from _more(len(result.renamed), limit)
    counts = ((len(getattr(result, n)), n) for n in ("added", "removed", "changed", "renamed"))
    yield ", ".join(f"{count:,} {name}" for count, name in counts)


@lines_of.register
def _(result: TagResult, paint: Callable[[str, str], str], verbose: int) -> Iterator[str]:
    del verbose
    before = "" if result.previous in (None, result.version) else f", was @{result.previous}"
    yield paint("good", f"{result.dataset}@{result.tag} is {result.dataset}@{result.version}")
    yield f"  root {result.root}{before}"


@lines_of.register
def _(result: StandingResult, paint: Callable[[str, str], str], verbose: int) -> Iterator[str]:
    del verbose
    style = "good" if result.state == "active" else "warn"
    yield paint(style, f"{result.dataset}@{result.version} is {result.state}") + (
        f", was {result.previous_state}"
    )
    for mount in result.mounts:
        yield f"  mounted at {_place(mount.target)} on {mount.host}"
    for run in result.runs:
        yield f"  read by run {run.id} of {escape(run.actor.user)}"


@lines_of.register
def _(result: MountReport, paint: Callable[[str, str], str], verbose: int) -> Iterator[str]:
    if not result.mounts:
        yield "nothing is declared in this workspace"
    for one in result.mounts:
        yield from lines_of(one, paint, verbose)


@lines_of.register
def _(result: MountResult, paint: Callable[[str, str], str], verbose: int) -> Iterator[str]:
    name = f"{result.dataset}@{result.version} at {_place(result.target)}"
    if result.findings:
        yield paint("bad", f"not mounted: {name}")
    else:
        verb = "mounted" if result.created else f"{result.step}:"
        yield paint("good", f"{verb} {name}")
    yield f"  root      {result.root}"
    yield f"  backend   {result.backend}"
    yield f"  guarantee {result.guarantee}: {GUARANTEE_SENTENCES[result.guarantee]}"
    if result.weaker_because:
        yield "  " + paint("warn", f"not stronger, because {escape(result.weaker_because)}")
    counts = Counter(str(step.result) for step in result.probe)
    if counts:
        yield f"  probe     {', '.join(f'{n} {word}' for word, n in counts.items())}"
    if verbose:
        for step in result.probe:
            yield f"    {step.operation:<24} {step.result:<8} {escape(step.detail)}"
    yield from _findings(result.findings, paint, verbose)


@lines_of.register
def _(result: UnmountResult, paint: Callable[[str, str], str], verbose: int) -> Iterator[str]:
    del verbose
    yield paint("good", f"unmounted {result.dataset}@{result.version}") + (
        f" from {_place(result.target)}"
    )
    if result.left:
        yield "  " + paint("warn", escape(result.left))


@lines_of.register
def _(result: GateResult, paint: Callable[[str, str], str], verbose: int) -> Iterator[str]:
    del verbose
    for check in result.checks:
        word = paint("good", "ok     ") if check.ok else paint("bad", "REFUSED")
        subject = f" {_place(check.subject)}" if check.subject else ""
        code = f" [{check.code.name}]" if check.code is not None and not check.ok else ""
        weak = "" if check.enforced else paint("warn", " (not enforced)")
        yield f"{word} {check.name}{subject}: {escape(check.reason)}{code}{weak}"
    verdict = paint("good", "allowed") if result.allowed else paint("bad", "refused")
    yield f"{verdict} by policy `{escape(result.policy)}`"


@lines_of.register
def _(result: RunResult, paint: Callable[[str, str], str], verbose: int) -> Iterator[str]:
    if not result.allowed:
        yield paint("bad", "run not started")
    else:
        style = "good" if result.state == "complete" else "bad"
        yield paint(style, f"run {result.run} {result.state}") + (
            f", exit code {result.exit_code}, {len(result.outputs)} outputs in "
            f"{_place(result.outputs_directory or '')}"
        )
    for one in result.inputs:
        yield f"  input  {one.dataset}@{one.version} before: {one.before}, after: {one.after}"
    if verbose:
        yield from _outputs(result.outputs)
    yield from _findings(result.findings, paint, verbose)
    yield from _gaps(result.unreadable, paint)


@lines_of.register
def _(result: AuditResult, paint: Callable[[str, str], str], verbose: int) -> Iterator[str]:
    for one in result.versions:
        clean = paint("good", "clean") if one.clean else paint("bad", "NOT CLEAN")
        clean = clean if one.complete else paint("warn", "INCOMPLETE")
        how = "" if one.baseline or result.level == "full" else ", no baseline: read everything"
        yield (
            f"{one.dataset}@{one.version} {clean} ({result.level}): {one.checked_files:,} files, "
            f"{size_words(one.checked_bytes)} read at {_place(one.location)}{how}"
        )
    if not result.versions:
        yield paint("faint", "nothing to audit")
    yield from _findings(result.findings, paint, verbose)
    yield from _gaps(result.unreadable, paint)


@lines_of.register
def _(result: FindingList, paint: Callable[[str, str], str], verbose: int) -> Iterator[str]:
    if not result.findings:
        yield paint("good", "no findings")
    for finding in result.findings:
        times = f"{finding.state}, seen {finding.count}x, last {finding.last_seen:%Y-%m-%d %H:%MZ}"
        yield f"{finding.id}  {_finding(finding, paint)}"
        yield paint("faint", f"  {times}")
        if verbose:
            yield f"  remedy: {finding.remedy}"
            for name, value in finding.evidence.items():
                yield f"  {name}: {escape(str(value))}"


@lines_of.register
def _(result: LineageResult, paint: Callable[[str, str], str], verbose: int) -> Iterator[str]:
    del verbose
    yield paint("strong", _place(result.subject))
    if not result.runs:
        yield "  no run has read it"
    for run in result.runs:
        yield (
            f"  run {run.id} {run.state} by {escape(run.actor.user)} on {run.actor.host}, "
            f"{run.started:%Y-%m-%d %H:%M:%SZ}"
        )
        yield "    command  " + " ".join(
            display(word.encode("utf-8", "surrogateescape")) for word in run.command
        )
        for one in run.inputs:
            yield f"    input    {one.dataset}@{one.version} {one.root}"
        yield f"    outputs  {_place(run.outputs)}"
    if result.output is not None:
        words = {True: "unchanged since", False: "CHANGED since", None: "not checked"}
        yield f"  this file {words[result.unchanged]}: {result.output.digest}"


def _findings(
    findings: Iterable[Finding], paint: Callable[[str, str], str], verbose: int
) -> Iterator[str]:
    listed = sorted(findings, key=lambda finding: (-finding.severity.rank, finding.path))
    limit = None if verbose else _SHOWN
    for finding in listed[:limit]:
        yield _finding(finding, paint)
    yield from _more(len(listed), limit)
    if listed:
        counts = Counter(finding.code.name for finding in listed)
        yield "findings: " + ", ".join(f"{count:,} {code}" for code, count in counts.items())


def _finding(finding: Finding, paint: Callable[[str, str], str]) -> str:
    style = _STYLE[finding.severity]
    path = display(finding.path) if finding.path else "(whole version)"
    head = paint(style, f"{finding.code.name} {finding.severity}")
    return f"{head} {path}: {escape(finding.message)}"


def _gaps(unreadable: Iterable[Unreadable], paint: Callable[[str, str], str]) -> Iterator[str]:
    listed = list(unreadable)
    for item in listed:
        path = display(item.path) if item.path else "(everything)"
        detail = f" ({escape(item.detail)})" if item.detail else ""
        yield paint("warn", f"UNCHECKED {path}") + f": {item.obstacle}{detail}"
    if listed:
        yield f"could not be checked: {len(listed):,}"


def _outputs(outputs: Iterable[RunOutput]) -> Iterator[str]:
    for one in outputs:
        yield f"  output {display(one.path)} {size_words(one.size)} {one.digest}"


def _writers(result: RegisterResult) -> str:
    writers = result.writers
    words = [f"{escape(user)} ({count:,} files)" for user, count in writers.owners.items()]
    words += [f"group {escape(g)} ({count:,} files)" for g, count in writers.groups.items()]
    if writers.everybody:
        words.append(f"EVERYBODY ({writers.everybody:,} files)")
    return ", ".join(words) or "by no one but root"


def _field(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        for item in value:
            yield f"{name}: " + ", ".join(f"{k}={escape(str(v))}" for k, v in item.items())
        return
    yield f"{name}: {escape(str(value))}"


def _columns(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _more(count: int, limit: int | None) -> Iterator[str]:
    if limit is not None and count > limit:
        yield f"... and {count - limit:,} more; -v shows all"


def _place(text: str) -> str:
    return display(text.encode("utf-8", "surrogateescape"))
