"""The exit code that findings and gaps add up to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.model.finding import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dataguard.model.finding import Finding

__all__ = ["FINE", "UNCHECKED", "VIOLATED", "exit_code", "is_violation"]

FINE = 0
VIOLATED = 3
UNCHECKED = 4

_VIOLATIONS = frozenset(one for one in Severity if one.rank >= Severity.ERROR.rank)


def exit_code(findings: Iterable[Finding], *, unchecked: bool) -> int:
    """Return 3 for findings of severity `error` or worse, 4 where something was not checked.

    A gap finding (DG9xx) says that something was not checked.
    """
    for finding in findings:
        if is_violation(finding):
            return VIOLATED
        unchecked = unchecked or finding.code.is_gap
    return UNCHECKED if unchecked else FINE


def is_violation(finding: Finding) -> bool:
    """Whether a finding alone makes a command fail."""
    return finding.severity in _VIOLATIONS and not finding.code.is_gap
