"""Rows for redundant copies, for CSV and JSON lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dataguard.model.copies import CopiesHistory, CopiesResult
from dataguard.report.encode import encode
from dataguard.report.table import rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__: list[str] = []


@rows_of.register(CopiesResult)
def _(result: CopiesResult) -> Iterator[dict[str, Any]]:
    yield from map(encode, result.copies)
    # What could not be checked is a row too, or a table would make it look fine.
    for gap in result.unreadable:
        yield {**encode(gap), "kind": "unchecked"}


@rows_of.register(CopiesHistory)
def _(result: CopiesHistory) -> Iterator[dict[str, Any]]:
    return map(encode, result.scans)
