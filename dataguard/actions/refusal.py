"""Why a registration makes no version, and what would make one."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from dataguard.actions.findings import finding_of, findings_of, unstable_findings
from dataguard.core.outcome import is_violation
from dataguard.model.finding import Code
from dataguard.stores.sightings import Sightings

if TYPE_CHECKING:
    from collections.abc import Collection

    from dataguard.actions.context import Context
    from dataguard.actions.intake import Intake
    from dataguard.actions.registration import Task
    from dataguard.model.finding import Finding

__all__ = ["refusal_of", "way_on"]


def refusal_of(ctx: Context, task: Task, intake: Intake) -> Collection[Finding]:
    """Return why no version is made; what cannot be read is said by the result itself.

    However many differences there are, memory holds few of them.
    """
    name, reference = task.request.name, task.source.reference
    if intake.unreadable:
        return unstable_findings(ctx, intake.unreadable, dataset=name, version=None)
    if intake.broken:
        return findings_of(ctx, intake.broken, dataset=name, version=None)
    dangerous = findings_of(ctx, intake.hazards, dataset=name, version=None)
    if any(is_violation(finding) for finding in dangerous):
        return dangerous
    meant = task.request.supersede or (task.request.append and _only_added(intake))
    if not intake.differences or meant:
        return ()
    number, now = reference.number if reference else None, ctx.clock()
    return Sightings(finding_of(ctx, one, name, number, now) for one in intake.differences)


def way_on(task: Task, intake: Intake) -> str | None:
    """Return the command that would make a version of differences that are meant, or None."""
    if not intake.differences or intake.broken:
        return None
    words = ["dataguard", "register", task.request.name, task.place]
    if not task.in_place:
        return f"{shlex.join(words)}: without --replica it is the next version"
    if _only_added(intake):
        return f"{shlex.join(words)} --append --reason WHY: paths were only added"
    return f"{shlex.join(words)} --supersede --reason WHY, if the change is meant"


def _only_added(intake: Intake) -> bool:
    return all(difference.code is Code.DG103 for difference in intake.differences)
