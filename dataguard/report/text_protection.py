"""Lines for policies of object stores: the document alone, so that it can be saved as it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from dataguard.core.paths import escape
from dataguard.model.objectpolicy import PolicyExport
from dataguard.report.lines import Paint, lines_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["export_notes"]


@lines_of.register(PolicyExport)
def _(result: PolicyExport, paint: Paint, verbose: int) -> Iterator[str]:
    del paint, verbose
    yield from json.dumps(result.document, indent=2).splitlines()


def export_notes(result: PolicyExport) -> Iterator[str]:
    """Yield what is said beside a document: how to apply it, and what it does not stop."""
    for one in result.remarks:
        yield f"note: {escape(one)}"
    yield "it does not stop:"
    yield from (f"  {escape(one)}" for one in result.does_not_stop)
    yield "saved as policy.json, it is applied and proven with:"
    yield from (f"  {escape(one)}" for one in result.apply)
