"""Records what comparisons found, in short transactions that let others in between."""

from __future__ import annotations

import os
from itertools import islice
from typing import TYPE_CHECKING

from dataguard.actions.findings import content_codes, every_finding
from dataguard.core.objectplaces import is_objects
from dataguard.model.audit import AuditRecord, SliceRecord
from dataguard.model.dataset import LocationState
from dataguard.model.finding import FindingState

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Sequence
    from datetime import datetime

    from dataguard.actions.comparison import Comparison
    from dataguard.actions.context import Context
    from dataguard.catalog.writing import Transaction
    from dataguard.model.audit import Slice
    from dataguard.model.dataset import Version
    from dataguard.model.finding import Code, Finding

__all__ = [
    "BATCH",
    "is_only_location",
    "record_audit",
    "record_batch",
    "record_comparison",
    "record_findings",
    "record_slice",
    "resolve_stale",
]

BATCH = 1_000
"""Findings that are recorded in one transaction: a fraction of a second in the write lock."""

_GAPS_KEPT = 1_000


def record_batch(ctx: Context, findings: Sequence[Finding]) -> None:
    """Record findings in one transaction."""
    with ctx.catalog.transaction() as tx:
        tx.record_findings(findings)


def record_findings(ctx: Context, findings: Iterable[Finding]) -> None:
    """Record any number of findings, a transaction a batch."""
    for batch in _batches(findings):
        record_batch(ctx, batch)


def record_comparison(ctx: Context, done: Comparison) -> None:
    """Record a comparison as an audit, with its findings; resolve what was not seen again."""
    audited = AuditRecord(
        dataset=done.version.dataset,
        version=done.version.number,
        location=done.location.place,
        level=done.level,
        started=done.started,
        finished=ctx.clock(),
        complete=done.is_complete,
        clean=done.is_clean,
        checked_files=done.checked_files,
        checked_bytes=done.checked_bytes,
        findings=len(done.findings),
        unreadable=len(done.unreadable),
        actor=ctx.actor,
    )
    record_audit(ctx, audited, done.findings.since(done.recorded), done.started)


def record_audit(
    ctx: Context,
    audit: AuditRecord,
    findings: Iterable[Finding],
    since: datetime,
    *,
    is_unseen: Callable[[Finding], bool] = lambda _: True,
    also: Callable[[Transaction], None] | None = None,
) -> None:
    """Record an audit with findings that are not in the catalog yet; resolve what it ended.

    That is every open finding that a complete audit could see and nobody saw `since`, as far as
    it `is_unseen`. The audit is recorded last, together with what else there is to do: after a
    crash without it, the findings are those of an audit that was ended; they are true, and
    recorded again they are merged.
    """
    rest = _all_but_last(_batches(findings), lambda batch: record_batch(ctx, batch))
    # What is about to be recorded was seen, and must not be closed and opened again.
    ids = {finding.id for finding in rest}
    old = _open_before(ctx, audit, since)
    gone = _batches(one for one in old if one.id not in ids and is_unseen(one))
    reason = f"{audit.level} audit"

    def resolve(tx: Transaction, batch: Sequence[Finding]) -> None:
        tx.resolve_unseen(batch, reason)

    def resolve_alone(batch: Sequence[Finding]) -> None:
        with ctx.catalog.transaction() as tx:
            resolve(tx, batch)

    last = _all_but_last(gone, resolve_alone)
    with ctx.catalog.transaction() as tx:
        tx.record_findings(rest)
        tx.record_audit(audit)
        resolve(tx, last)
        if also is not None:
            also(tx)


def record_slice(ctx: Context, done: Comparison, part: Slice) -> SliceRecord:
    """Record a comparison of a slice, with its findings; resolves nothing."""
    record = SliceRecord(
        dataset=done.version.dataset,
        version=done.version.number,
        location=done.location.place,
        level=done.level,
        index=part.index,
        count=part.count,
        after=done.span.after,
        through=done.span.through,
        started=done.started,
        finished=ctx.clock(),
        complete=done.is_complete,
        clean=done.is_clean,
        baseline=done.baseline,
        checked_files=done.checked_files,
        checked_bytes=done.checked_bytes,
        findings=len(done.findings),
        unreadable=len(done.unreadable),
        gaps=done.unreadable[:_GAPS_KEPT],
        actor=ctx.actor,
    )
    rest = _all_but_last(
        _batches(done.findings.since(done.recorded)), lambda batch: record_batch(ctx, batch)
    )
    with ctx.catalog.transaction() as tx:
        tx.record_findings(rest)
        tx.record_slice(record)
    return record


def resolve_stale(
    ctx: Context,
    dataset: str,
    version: int,
    codes: Container[Code],
    reason: str,
    *,
    before: datetime | None = None,
    seen: Container[str] = (),
) -> None:
    """Resolve the open findings of these codes that nobody saw since; a transaction a batch.

    `seen` are the ids of those that were seen just now. A crash leaves some of the others open;
    the next complete audit resolves these.
    """
    old = _open(ctx, dataset, version, codes, before)
    for batch in _batches(one for one in old if one.id not in seen):
        with ctx.catalog.transaction() as tx:
            tx.resolve_unseen(batch, reason)


def _open_before(ctx: Context, audit: AuditRecord, since: datetime) -> Iterator[Finding]:
    """Yield the open findings that an audit can end, which were not seen since then."""
    version = ctx.catalog.version(audit.dataset, audit.version)
    # A finding does not say at which location: with several, one that is clean proves nothing.
    if not audit.complete or not is_only_location(ctx, version):
        return
    objects = is_objects(audit.location)
    codes = content_codes(audit.level, objects=objects)
    for one in _open(ctx, audit.dataset, audit.version, codes, since):
        # What a canary found about a bucket, another canary takes back: its path is a place.
        if not is_objects(os.fsdecode(one.path)):
            yield one


def _open(
    ctx: Context, dataset: str, version: int, codes: Container[Code], before: datetime | None
) -> Iterator[Finding]:
    """Yield the open findings of these codes, in path order, that were not seen since a moment."""
    states = (FindingState.OPEN,)
    found = every_finding(ctx, dataset, version, states=states, seen_before=before)
    return (one for one in found if one.code in codes)


def _batches(findings: Iterable[Finding]) -> Iterator[list[Finding]]:
    source = iter(findings)
    while batch := list(islice(source, BATCH)):
        yield batch


def _all_but_last(
    batches: Iterator[list[Finding]], act: Callable[[Sequence[Finding]], None]
) -> list[Finding]:
    """Act on each batch that another one follows; return the last one."""
    last: list[Finding] = []
    for batch in batches:
        if last:
            act(last)
        last = batch
    return last


def is_only_location(ctx: Context, version: Version) -> bool:
    """Whether a version has no more than one active location."""
    locations = ctx.catalog.locations(version.dataset, version.number)
    return sum(location.state is LocationState.ACTIVE for location in locations) < 2  # noqa: PLR2004  one or none
