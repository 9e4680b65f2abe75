"""Result of `log`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["LogRow", "VersionLog"]


@dataclass(frozen=True, slots=True)
class LogRow:
    """One line of `log`: what happened to a dataset."""

    seq: int
    time: datetime
    user: str
    host: str
    what: str
    version: int | None
    detail: str


@dataclass(frozen=True, slots=True)
class VersionLog:
    """Result of `log`, oldest first."""

    dataset: str
    rows: tuple[LogRow, ...]
