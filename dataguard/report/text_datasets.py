"""Lines for datasets and their versions: listed, shown, compared, named, withdrawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.core.leasewords import lease_words
from dataguard.core.paths import display, escape
from dataguard.model.dataset import LocationState
from dataguard.model.results.diff import DiffResult
from dataguard.model.results.list import DatasetList, DatasetRow
from dataguard.model.results.log import VersionLog
from dataguard.model.results.show import VersionDetails
from dataguard.model.results.standing import StandingResult
from dataguard.model.results.tag import TagResult
from dataguard.report.lines import (
    SHOWN,
    Paint,
    columns,
    lines_of,
    more,
    number,
    pinned_words,
    place,
    size_words,
    time_words,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.model.audit import AuditRecord

__all__: list[str] = []


@lines_of.register(DatasetList)
def _(result: DatasetList, paint: Paint, verbose: int) -> Iterator[str]:
    if not result.datasets:
        yield paint("faint", "no such datasets; `dataguard register NAME LOCATION` makes one")
        return
    rows = [
        (
            f"{row.dataset}@{row.version}",
            row.state,
            "" if row.seal == "none" else row.seal,
            _pinned(row, verbose),
            number(row.files, "file"),
            size_words(row.bytes),
            row.root[:16],
            "-" if row.location is None else place(row.location),
        )
        for row in result.datasets
    ]
    for row, line in zip(result.datasets, columns(rows), strict=True):
        yield line
        yield from _proofs(row, paint) if verbose else ()


def _proofs(row: DatasetRow, paint: Paint) -> Iterator[str]:
    """Say of each location in a bucket who cannot write there, and since when that is known."""
    for one in row.canaries:
        style = "good" if one.words.startswith("protected") else "bad"
        yield f"  canary at {place(one.place)}: {paint(style, escape(one.words))}"


def _pinned(row: DatasetRow, verbose: int) -> str:
    """What is not held by its versions says so at once; what is, to who wants to know."""
    if row.pinned is None or (row.pinned and not verbose):
        return ""
    return "pinned" if row.pinned else "unpinned"


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
        if location.objects is not None:
            yield f"  pinned    {pinned_words(location.objects)}"
            yield from _protection(result, location.place, paint)
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


def _protection(result: VersionDetails, where: str, paint: Paint) -> Iterator[str]:
    """Yield what canary writes proved of a place, for each credential that sent some."""
    from dataguard.core.canary import NO_CANARY, protection_words  # noqa: PLC0415  buckets alone

    records = [one for one in result.canaries if one.place == where]
    if not records:
        yield f"  canary    {paint('bad', NO_CANARY)}"
        return
    for record in records:
        style = "good" if record.state == "protected" else "bad"
        yield f"  canary    {paint(style, protection_words(record))}"


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
