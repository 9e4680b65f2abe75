"""Makes findings of differences, with the policy's severities; lists and closes findings."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.actions.copyprivacy import as_told
from dataguard.core.exemptions import exempted
from dataguard.errors import NotFoundError, UsageError
from dataguard.model.audit import AuditLevel
from dataguard.model.entry import Obstacle
from dataguard.model.finding import Code, Finding, FindingState
from dataguard.model.results.findings import FindingList

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from dataguard.actions.context import Context
    from dataguard.core.verdicts import Difference
    from dataguard.model.entry import Unreadable

__all__ = [
    "acknowledge",
    "content_codes",
    "every_finding",
    "finding_of",
    "findings_of",
    "list_findings",
    "resolve",
    "show",
    "unstable_findings",
]

_ID = r"F-[0-9a-f]{16}"

_CONTENT_CODES = tuple(code for code in Code if code.name.startswith("DG10"))
_OBJECT_CODES = tuple(code for code in Code if code.name.startswith("DG60"))
_READ = (Code.DG101, Code.DG107)


def content_codes(level: AuditLevel, *, objects: bool = False) -> tuple[Code, ...]:
    """Return the codes that a complete audit of this level can see the end of.

    A quick one cannot see that rotten bits are gone: it did not read them. Of `objects` it read
    nothing, and a listing shows neither versions nor what protects them.
    """
    if level is AuditLevel.FULL:
        return (*_CONTENT_CODES, *_OBJECT_CODES)
    if objects:
        if level is AuditLevel.LISTING:
            return (Code.DG102, Code.DG103)
        return tuple(code for code in (*_CONTENT_CODES, *_OBJECT_CODES) if code not in _READ)
    return tuple(code for code in _CONTENT_CODES if code is not Code.DG107)


def every_finding(
    ctx: Context,
    dataset: str,
    version: int,
    *,
    states: Iterable[FindingState],
    seen_from: datetime | None = None,
    seen_before: datetime | None = None,
) -> Iterator[Finding]:
    """Yield the findings of a version by path and code, a page of the catalog in memory.

    What is recorded meanwhile may be among them: each page is read when it is come to.
    """
    last: Finding | None = None
    while page := ctx.catalog.findings_after(
        dataset, version, last, states=states, seen_from=seen_from, seen_before=seen_before
    ):
        last = page[-1]
        yield from page


def findings_of(
    ctx: Context, differences: Iterable[Difference], *, dataset: str, version: int | None
) -> list[Finding]:
    """Return the differences as findings of a version, seen now."""
    now = ctx.clock()
    return [finding_of(ctx, one, dataset, version, now) for one in differences]


def finding_of(
    ctx: Context, difference: Difference, dataset: str, version: int | None, now: datetime
) -> Finding:
    """Return a difference as a finding; what the policy exempts is information, and says why."""
    found = Finding(
        code=difference.code,
        severity=ctx.policy.severity_of(difference.code),
        path=difference.path,
        message=difference.message,
        first_seen=now,
        last_seen=now,
        dataset=dataset,
        version=version,
        evidence=dict(difference.evidence),
    )
    return exempted(ctx.policy, found)


def unstable_findings(
    ctx: Context, unreadable: Iterable[Unreadable], *, dataset: str, version: int | None
) -> list[Finding]:
    """Return a DG106 for each file that changed while it was read."""
    from dataguard.core.verdicts import Difference  # noqa: PLC0415  loads Arrow

    unstable = (item for item in unreadable if item.obstacle is Obstacle.UNSTABLE)
    differences = [Difference(Code.DG106, item.path, item.detail) for item in unstable]
    return findings_of(ctx, differences, dataset=dataset, version=version)


def list_findings(
    ctx: Context,
    *,
    dataset: str | None,
    version: int | None,
    states: tuple[FindingState, ...],
    code: Code | None,
) -> FindingList:
    """Return recorded findings, by dataset, version and path."""
    found = ctx.catalog.findings(dataset=dataset, version=version, states=states, code=code)
    return FindingList(tuple(as_told(ctx, one) for one in found))


def show(ctx: Context, finding_id: str) -> FindingList:
    """Return one finding.

    Raises:
        NotFoundError: there is none with this id.
    """
    return FindingList((as_told(ctx, ctx.catalog.finding(_checked(finding_id))),))


def acknowledge(
    ctx: Context, finding_id: str, reason: str, *, dry_run: bool = False
) -> FindingList:
    """Mark a finding as known; it stays open until it is gone or resolved.

    Raises:
        NotFoundError: there is none with this id.
    """
    return _set_state(ctx, finding_id, FindingState.ACKNOWLEDGED, reason, dry_run=dry_run)


def resolve(ctx: Context, finding_id: str, reason: str, *, dry_run: bool = False) -> FindingList:
    """Close a finding; it opens again when it is seen again.

    Raises:
        NotFoundError: there is none with this id.
    """
    return _set_state(ctx, finding_id, FindingState.RESOLVED, reason, dry_run=dry_run)


def _set_state(
    ctx: Context, finding_id: str, state: FindingState, reason: str, *, dry_run: bool
) -> FindingList:
    if not reason.strip():
        raise UsageError("a reason is needed", hint="--reason 'known since May'")
    finding_id = _checked(finding_id)
    if dry_run:
        found = replace(ctx.catalog.finding(finding_id), state=state)
        return FindingList((as_told(ctx, found),))
    with ctx.catalog.transaction() as tx:
        found = tx.set_finding_state(finding_id, state, reason)
    return FindingList((as_told(ctx, found),))


def _checked(finding_id: str) -> str:
    if re.fullmatch(_ID, finding_id) is None:
        raise NotFoundError(
            f"no finding `{finding_id}`", hint="`dataguard findings list` shows all"
        )
    return finding_id
