"""Lines for policies of object stores, and for what canary writes came to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from dataguard.core.canary import protection_words
from dataguard.core.paths import escape
from dataguard.model.canary import CanaryState, VerifyResult
from dataguard.model.mount import ProbeOutcome
from dataguard.model.objectpolicy import PolicyExport
from dataguard.report.lines import Paint, columns, lines_of, place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.model.mount import ProbeStep

__all__ = ["export_notes"]


@lines_of.register(PolicyExport)
def _(result: PolicyExport, paint: Paint, verbose: int) -> Iterator[str]:
    del paint, verbose  # the document alone, so that it can be saved as it is
    yield from json.dumps(result.document, indent=2).splitlines()


@lines_of.register(VerifyResult)
def _(result: VerifyResult, paint: Paint, verbose: int) -> Iterator[str]:
    for record in result.records:
        good = record.state is CanaryState.PROTECTED
        verdict = paint("good" if good else "bad", protection_words(record))
        yield f"{place(record.place)}: {verdict}"
        shown = record.probe.steps if verbose else [s for s in record.probe.steps if not _fine(s)]
        yield from columns([(f"  {s.operation}", str(s.result), escape(s.detail)) for s in shown])
        for one in record.left:
            yield f"  {paint('bad', 'left behind')}: {escape(one)}"
    for finding in result.findings:
        version = f"{finding.dataset}@{finding.version} " if finding.dataset else ""
        yield f"{finding.code.name} {version}{escape(finding.message)}"
        yield f"  remedy: {finding.remedy}"


def _fine(step: ProbeStep) -> bool:
    return step.result is ProbeOutcome.REFUSED


def export_notes(result: PolicyExport) -> Iterator[str]:
    """Yield what is said beside a document: how to apply it, and what it does not stop."""
    for one in result.remarks:
        yield f"note: {escape(one)}"
    yield "it does not stop:"
    yield from (f"  {escape(one)}" for one in result.does_not_stop)
    yield "saved as policy.json, it is applied and proven with:"
    yield from (f"  {escape(one)}" for one in result.apply)
