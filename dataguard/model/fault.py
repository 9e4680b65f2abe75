"""Bytes of a version that a mount could not give: gone, replaced, or not what was registered."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Fault", "FaultKind"]


class FaultKind(StrEnum):
    """Why a file cannot be read any more through a mount."""

    GONE = "gone"
    REPLACED = "replaced"
    WRONG = "wrong bytes"


@dataclass(frozen=True, slots=True)
class Fault:
    """A file that a mount refused to go on with, and what its store said; `path` is relative."""

    kind: FaultKind
    path: bytes
    detail: str
    time: datetime
