"""Whether what holds an object in place is what a policy asks for."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from dataguard.model.duration import format_duration
from dataguard.model.policy import Lock

if TYPE_CHECKING:
    from datetime import datetime

    from dataguard.model.objects import Held
    from dataguard.model.policy import ObjectRules

__all__ = ["lock_weakness"]

_SLACK = timedelta(days=1)
_SLACK_PART = 20
"""Servers count a retention from their own clock, and some in whole days."""


def lock_weakness(held: Held, rules: ObjectRules, now: datetime) -> str:
    """Return what is weaker about the lock of a version than the rules ask for; empty: nothing.

    A legal hold has no end, and whoever may set one may end it: it counts as governance.
    """
    if rules.lock is Lock.NONE:
        return ""
    if held.legal_hold and rules.lock is Lock.GOVERNANCE:
        return ""
    if not held.lock_mode or held.retain_until is None:
        return "no lock holds it"
    if rules.lock is Lock.COMPLIANCE and held.lock_mode != Lock.COMPLIANCE:
        return f"its lock is {held.lock_mode}, which somebody may end early"
    if held.retain_until <= now:
        return f"its lock ended at {held.retain_until:%Y-%m-%d %H:%M} UTC"
    return _shortness(held, rules.retention)


def _shortness(held: Held, wanted: timedelta | None) -> str:
    if wanted is None or held.retain_until is None or held.last_modified is None:
        return ""
    given = held.retain_until - held.last_modified
    if given >= wanted - min(_SLACK, wanted / _SLACK_PART):
        return ""
    end = f"{held.retain_until:%Y-%m-%d %H:%M} UTC"
    return f"it is held until {end}, less than {format_duration(wanted)} after it was written"
