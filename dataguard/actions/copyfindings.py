"""Findings of copies: recorded when seen, resolved when a complete scan sees them no more."""

from __future__ import annotations

import os
from itertools import islice
from typing import TYPE_CHECKING

from dataguard.actions.findings import every_finding, finding_of
from dataguard.actions.recording import record_findings
from dataguard.core.objectplaces import is_objects
from dataguard.core.partial import Part
from dataguard.core.paths import display
from dataguard.core.verdicts import Difference
from dataguard.model.copies import CopyKind
from dataguard.model.finding import Code, FindingState

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

    from dataguard.actions.context import Context
    from dataguard.core.goldindex import GoldIndex
    from dataguard.model.copies import Copy
    from dataguard.model.finding import Finding

__all__ = ["findings_of_copies", "record_copies"]

_BATCH = 1_000

_WORDS = {
    CopyKind.EXACT: "the same content as",
    CopyKind.PARTIAL: "a part of",
    CopyKind.ARCHIVE_MEMBER: "an archive with",
    CopyKind.TABLE: "a table with rows of",
}


def findings_of_copies(ctx: Context, copies: Iterable[Copy]) -> tuple[Finding, ...]:
    """Return a finding for each copy that is no link, with the policy's severities."""
    now = ctx.clock()
    return tuple(
        finding_of(
            ctx,
            Difference(one.code, one.path, _message(one), _evidence(one) | _finder(ctx, one)),
            one.dataset,
            one.version,
            now,
        )
        for one in copies
        if one.code is not None
    )


def record_copies(
    ctx: Context,
    findings: Sequence[Finding],
    index: GoldIndex,
    places: Sequence[bytes] | None,
    *,
    codes: Sequence[Code] = (Code.DG201,),
    chunks: bool = False,
) -> None:
    """Record findings; resolve earlier ones in `places` that were not seen again.

    `places` are None where the scan could not have seen all; `codes` are what was looked for,
    parts that take `chunks` to see only where that is true.
    """
    record_findings(ctx, findings)
    if places is None:
        return
    seen = {one.id for one in findings}
    for version in index.versions:
        earlier = every_finding(ctx, version.dataset, version.number, states=(FindingState.OPEN,))
        sought = (one for one in earlier if one.code in codes and (chunks or not _by_chunks(one)))
        gone = _gone(sought, seen, places)
        while batch := list(islice(gone, _BATCH)):
            with ctx.catalog.transaction() as tx:
                tx.resolve_unseen(batch, "scan for copies")


def _gone(
    earlier: Iterable[Finding], seen: Container[str], places: Sequence[bytes]
) -> Iterator[Finding]:
    prefixes = tuple(place.rstrip(b"/") + b"/" for place in places)
    for one in earlier:
        inside = one.path.startswith(prefixes) or one.path in places
        if inside and one.id not in seen:
            yield one


def _by_chunks(finding: Finding) -> bool:
    return finding.evidence.get("part") in (Part.EXCERPT, Part.EMBEDDED, Part.SHIFTED)


def _message(one: Copy) -> str:
    return f"{_WORDS[one.kind]} {one.reference} {display(one.entry)}"


def _finder(ctx: Context, one: Copy) -> dict[str, object]:
    """Return who found a copy in a bucket: its path is told to them, since nobody owns it here."""
    return {"found_by": ctx.actor.uid} if is_objects(os.fsdecode(one.path)) else {}


def _evidence(one: Copy) -> dict[str, object]:
    found: dict[str, object] = {
        "kind": str(one.kind),
        "entry": display(one.entry),
        "bytes": one.bytes,
        "reclaimable": one.reclaimable,
        **one.evidence,
    }
    if one.original is not None:
        found["original"] = display(one.original)
    if one.state is not None:
        found["uid"] = one.state.uid
    return found
