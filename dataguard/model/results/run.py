"""Result of `run`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection

    from dataguard.model.attempt import Attempts
    from dataguard.model.confinement import Confinement
    from dataguard.model.diversion import Diverted
    from dataguard.model.entry import Unreadable
    from dataguard.model.finding import Finding
    from dataguard.model.gate import Check
    from dataguard.model.run import RunInput, RunOutput

__all__ = ["RunResult"]


@dataclass(frozen=True, slots=True)
class RunResult:
    """Result of `run`; `exit_code` is the job's own, None where it was not started.

    `checks` are those of the gate. `diverted` lists writes that were led away: from
    gold, or from the run's own record. `confinement` says how the job was confined; None where
    none was looked for. `attempts` is what is known of writes that were refused to it.
    """

    run: str | None
    allowed: bool
    state: str
    exit_code: int | None
    outputs_directory: str | None
    inputs: tuple[RunInput, ...]
    outputs: tuple[RunOutput, ...]
    diverted: tuple[Diverted, ...]
    findings: Collection[Finding]
    unreadable: tuple[Unreadable, ...]
    enforced: bool
    checks: tuple[Check, ...] = ()
    confinement: Confinement | None = None
    attempts: Attempts | None = None
