"""Proves that a place which was sealed a moment ago is its version, and drafts its new baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.actions.findings import finding_of
from dataguard.actions.observation import Reading, observe
from dataguard.actions.places import open_store
from dataguard.core.verdicts import Difference, judge, merge_kind_changes
from dataguard.model.dataclass import dataclass
from dataguard.model.digest import DigestPlan
from dataguard.model.finding import Code
from dataguard.model.schema import LOCATION_SHEET
from dataguard.stores.sightings import Sightings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

    from dataguard.actions.context import Context
    from dataguard.actions.sealing import Target
    from dataguard.model.entry import Unreadable
    from dataguard.model.finding import Finding
    from dataguard.stores.alteration import Passage

__all__ = ["Confirmed", "confirm"]

_BUSY = "a process has the file open for writing: it was not sealed"


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What the comparison after sealing came to; `sheet` is None where something differs."""

    findings: Sightings
    unreadable: tuple[Unreadable, ...]
    hashed: int
    sheet: str | None


def confirm(
    ctx: Context, found: Target, sealed: str, passage: Passage, *, rehash: bool
) -> Confirmed:
    """Compare a sealed place with the facts of each entry right after its sealing.

    What differs from these, or is not proved by them (`racy`), is read; with `rehash` all is.
    What is published as the new baseline are the facts of this look. docs/decisions/0010 says why
    no write can hide in it.

    Raises:
        CatalogDamagedError: the manifest or the sheet is damaged.
        NotFoundError: the place is gone.
        StoreUnreachableError: it cannot be read, or the home cannot be written.
    """
    version = found.version
    expected = ctx.manifests.read_with_sheet(version.root, version.algorithm, sealed)
    plan, reading = DigestPlan(version.algorithm), Reading(full=rehash, baseline=True)
    store = open_store(ctx, found.place, version.exclude)
    differences: list[Difference] = []
    gaps: list[Unreadable] = list(passage.unreadable)
    hashed = 0
    with ctx.manifests.draft(plan) as draft:
        for seen in observe(store, expected, plan, reading, ctx.progress):
            differences += judge(seen.window, baseline=True, sheet=True)
            gaps += seen.unreadable
            hashed += seen.files_read
            if not differences and not gaps:
                draft.add(_baseline(seen.window.left, seen.window.right))
        busy = [Difference(Code.DG106, path, _BUSY) for path in passage.busy]
        findings = Sightings(_findings(ctx, found, [*merge_kind_changes(differences), *busy]))
        if findings or gaps:
            return Confirmed(findings, tuple(gaps), hashed, None)
        return Confirmed(findings, (), hashed, draft.publish().sheet)


def _findings(ctx: Context, found: Target, differences: Iterable[Difference]) -> Iterator[Finding]:
    now, version = ctx.clock(), found.version
    for one in sorted(differences, key=lambda difference: difference.path):
        yield finding_of(ctx, one, version.dataset, version.number, now)


def _baseline(entries: pa.RecordBatch, observed: pa.RecordBatch) -> pa.RecordBatch:
    """Return the entries with the facts that were observed; both have the same rows."""
    for name in LOCATION_SHEET.names:
        position = entries.schema.get_field_index(name)
        entries = entries.set_column(position, name, observed.column(name))
    return entries
