"""How sightings of one finding become one record."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.model.finding import FindingState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dataguard.model.finding import Finding

__all__ = ["merge", "merge_all"]


def merge(known: Finding, seen: Finding) -> Finding:
    """Return a known finding after it was seen again.

    The first sighting stays, the words are the new ones; what was resolved is open again, what
    was acknowledged stays so.
    """
    resolved = known.state is FindingState.RESOLVED
    return replace(
        seen,
        first_seen=min(known.first_seen, seen.first_seen),
        last_seen=max(known.last_seen, seen.last_seen),
        count=known.count + seen.count,
        state=FindingState.OPEN if resolved else known.state,
    )


def merge_all(
    known: Mapping[str, Finding], seen: Iterable[tuple[str, Finding]]
) -> dict[str, Finding]:
    """Return every seen finding under its id, merged with what is known; both are given by id."""
    merged: dict[str, Finding] = {}
    for name, finding in seen:
        before = merged.get(name, known.get(name))
        merged[name] = finding if before is None else merge(before, finding)
    return merged
