"""Result of `withdraw`, `quarantine` and `release`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from dataguard.model.lease import Lease, RunUse
    from dataguard.model.mount import MountRecord
    from dataguard.model.run import Run

__all__ = ["StandingResult"]


@dataclass(frozen=True, slots=True)
class StandingResult:
    """Result of `withdraw`, `quarantine` and `release`: who uses the version now.

    `runs_since_good_audit` may have read what a clean full audit did not find good.
    """

    dataset: str
    version: int
    root: str
    state: str
    previous_state: str
    reason: str
    mounts: tuple[MountRecord, ...]
    runs: tuple[Run, ...]
    dry_run: bool = False
    leases: tuple[Lease, ...] = ()
    runs_since_good_audit: tuple[RunUse, ...] = ()
