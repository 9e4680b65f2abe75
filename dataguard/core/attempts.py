"""What several sources saw of a job's refused writes, joined and told apart by what they hit."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.core.chain import format_time
from dataguard.core.paths import is_inside
from dataguard.model.attempt import Attempts, Observable
from dataguard.model.dataclass import dataclass
from dataguard.model.finding import Code, Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from dataguard.model.attempt import Attempt, Observation, Source
    from dataguard.model.finding import Severity

__all__ = ["GoldRoot", "blocked", "join", "told"]

_TOLD = 20
"""Attempts that the evidence of one finding names."""


@dataclass(frozen=True, slots=True)
class GoldRoot:
    """An absolute path under which gold lies: the root of a version, or an area of the policy."""

    path: str
    dataset: str | None = None
    version: int | None = None


def join(sources: Iterable[Source]) -> Attempts:
    """Return what sources come to: observable as far as the best of them, lost as far as known."""
    found = tuple(sources)
    best = max((one.observable for one in found), key=lambda one: one.rank, default=Observable.NO)
    reasons = [one.reason for one in found if one.reason and one.observable is best]
    unknown = any(one.lost is None for one in found)
    return Attempts(
        observable=best,
        reason="; ".join(dict.fromkeys(reasons)),
        sources=found,
        seen=sum(one.seen for one in found),
        lost=None if unknown else sum(one.lost or 0 for one in found),
    )


def told(
    sources: Iterable[Observation],
    roots: Iterable[GoldRoot],
    severity: Severity,
    is_gold: Callable[[str], bool],
) -> tuple[Attempts, tuple[Finding, ...]]:
    """Return what is known of refused writes, and a DG302 for each path in gold.

    `roots` are tried in their order, the deepest first where one lies in another. A path beside
    all of them that `is_gold` is one of an area: it stays absolute.
    """
    observed = tuple(sources)
    ordered = sorted(roots, key=lambda root: -len(root.path))
    hits: dict[tuple[str | None, int | None, bytes], list[Attempt]] = {}
    outside = []
    for attempt in (attempt for one in observed for attempt in one.attempts):
        place = _place(attempt, ordered, is_gold)
        if place is None:
            outside.append(attempt)
        else:
            hits.setdefault(place, []).append(attempt)
    findings = tuple(
        blocked(path, made, severity, dataset=dataset, version=version)
        for (dataset, version, path), made in sorted(hits.items(), key=lambda item: item[0][2])
    )
    return replace(join(one.source for one in observed), outside=tuple(outside)), findings


def blocked(
    path: bytes,
    made: list[Attempt],
    severity: Severity,
    *,
    dataset: str | None,
    version: int | None,
    where: str = "",
) -> Finding:
    """Return the finding of attempts on one path."""
    operations = dict.fromkeys(attempt.operation for attempt in made)
    return Finding(
        code=Code.DG302,
        severity=severity,
        path=path,
        message=f"{Code.DG302.title}{where}: {', '.join(operations)}",
        first_seen=made[0].time,
        last_seen=made[-1].time,
        dataset=dataset,
        version=version,
        count=len(made),
        evidence={"attempts": list(_evidence(made[:_TOLD]))},
    )


def _evidence(made: Iterable[Attempt]) -> Iterator[dict[str, object]]:
    for attempt in made:
        yield {
            "operation": attempt.operation,
            "pid": attempt.pid,
            "uid": attempt.uid,
            "command": attempt.command,
            "time": format_time(attempt.time),
        }


def _place(
    attempt: Attempt, roots: Iterable[GoldRoot], is_gold: Callable[[str], bool]
) -> tuple[str | None, int | None, bytes] | None:
    """Return dataset, version and path of what an attempt hit; None outside of gold."""
    path = os.fsdecode(attempt.path)
    for root in roots:
        if is_inside(path, root.path):
            below = attempt.path[len(os.fsencode(root.path)) :].lstrip(b"/")
            return root.dataset, root.version, below
    return (None, None, attempt.path) if is_gold(path) else None
