"""Which audits that found damage still stand, and which later ones took their word back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.model.audit import AuditLevel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dataguard.model.audit import AuditRecord

__all__ = ["is_at_least", "last_good", "standing_damage"]


def standing_damage(audits: Iterable[AuditRecord]) -> AuditRecord | None:
    """Return an audit that found something which no later one cleared, or None."""
    known = tuple(audits)
    damaged = (audit for audit in known if _found_something(audit))
    return next((bad for bad in damaged if not any(_clears(a, bad) for a in known)), None)


def last_good(audits: Iterable[AuditRecord], location: str) -> AuditRecord | None:
    """Return the clean full audit of a place that began last, or None.

    A quick one trusts times: what it found clean may have been changed under them.
    """
    good = (a for a in audits if a.clean and a.level is AuditLevel.FULL and a.location == location)
    return max(good, key=lambda audit: audit.started, default=None)


def is_at_least(level: AuditLevel, wanted: AuditLevel) -> bool:
    """Whether one level looks at least as thoroughly as another."""
    order = list(AuditLevel)
    return order.index(level) >= order.index(wanted)


def _found_something(audit: AuditRecord) -> bool:
    return not audit.clean and (audit.complete or audit.findings > 0)


def _clears(later: AuditRecord, bad: AuditRecord) -> bool:
    """Whether a clean audit looked as thoroughly at the same place, after the other was done.

    One that began before may have read what was damaged while it was still good.
    """
    same = later.location == bad.location
    return (
        same
        and later.clean
        and later.started >= bad.finished
        and is_at_least(later.level, bad.level)
    )
