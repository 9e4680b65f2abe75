"""What is said of a table that has rows of known ones: enough of them, and how the two relate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dataguard.core.rowprints import TablePrint
    from dataguard.core.tablematch import RowMatch, TableMatch

__all__ = ["TableVerdict", "told", "verdict"]

_ROWS_LEAST = 8
"""Distinct rows in common below which tables may have them by chance."""

_SHARE_LEAST = 0.5
"""Share of the rows of one of both tables that has to be in common: where two tables have columns
of few values and the same names, many rows are equal without being copies."""

_COLUMNS_LEAST = 2
"""Rows of one column alone say little: numbers from 1 to 1,000 are in many tables."""

_SURE = 1_000
"""Rows that were asked for in a sample before all rows are taken for gold's."""

_NEARLY = 0.999
_PRECISION = 6


@dataclass(frozen=True, slots=True)
class TableVerdict:
    """What a table is to one version: `table` is the known one it has most of.

    `share` is that of its rows that are gold's: the sum over gold's tables, which may overlap.
    `only_gold` says that all of them are of one table. `evidence` holds JSON values only.
    """

    table: int
    share: float
    only_gold: bool
    evidence: Mapping[str, object]


def told(
    match: TableMatch, prints: Sequence[TablePrint], *, any_row: bool = False
) -> list[RowMatch]:
    """Return what is worth telling of a match; with `any_row` one row or long text is."""
    return [one for one in match.rows if any_row or _counts(one, prints[one.table])]


def _counts(one: RowMatch, known: TablePrint) -> bool:
    if one.same:
        return True
    if not one.column and len(known.columns) < _COLUMNS_LEAST:
        return False
    # A table of fewer rows has to be there as a whole.
    enough = one.found >= _ROWS_LEAST or one.found == one.sampled
    return enough and max(one.known_share, one.share) >= _SHARE_LEAST


def verdict(
    match: TableMatch, matches: Sequence[RowMatch], prints: Sequence[TablePrint]
) -> TableVerdict:
    """Return what a table is to the version that all of `matches`, at least one, belong to."""
    rows = [one for one in matches if not one.column]
    best = max(rows or matches, key=lambda one: (one.same, one.known_share, one.share, -one.table))
    share = min(sum(one.share for one in rows), 1.0) if rows else best.share
    known = prints[best.table]
    # Of long text alone nothing follows for the rest of a row, nor of shares that may overlap.
    only_gold = any(
        one.same or (one.share >= 1.0 and (one.whole or one.asked >= _SURE)) for one in rows
    )
    evidence: dict[str, object] = {
        "confidence": "probable",
        "relation": _relation(best, share),
        "rows": match.print.rows,
        "gold_rows": known.rows,
        "share": round(share, _PRECISION),
        "gold_share": round(best.known_share, _PRECISION),
        "matched_rows": best.hits,
        "sampled": not best.whole,
        "columns": list(known.columns),
        "examples": list(best.examples),
        "tables": len({one.table for one in matches}),
    }
    if best.column:
        evidence["column"], evidence["gold_column"] = best.column, best.known_column
    return TableVerdict(best.table, share, only_gold, evidence)


def _relation(best: RowMatch, share: float) -> str:
    """Return how two tables relate: the same, one in the other, or rows in common."""
    if best.same:
        return "same"
    if best.column:
        return "column"
    if best.known_share >= _NEARLY:
        return "same rows" if share >= _NEARLY else "contains"
    return "slice" if share >= _NEARLY else "overlap"
