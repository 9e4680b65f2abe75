"""Result of `lineage`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from dataguard.model.run import Run, RunOutput

__all__ = ["LineageResult"]


@dataclass(frozen=True, slots=True)
class LineageResult:
    """Result of `lineage`: the runs that read a version, or the run that made a file.

    `output` is the file's entry in that run; `unchanged` whether the file still has the content
    that the run wrote, None where that was not checked.
    """

    subject: str
    kind: str
    runs: tuple[Run, ...]
    output: RunOutput | None = None
    unchanged: bool | None = None
