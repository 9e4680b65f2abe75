"""Result of `findings`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from dataguard.model.finding import Finding

__all__ = ["FindingList"]


@dataclass(frozen=True, slots=True)
class FindingList:
    """Result of `findings list`, `show`, `ack` and `resolve`."""

    findings: tuple[Finding, ...]
