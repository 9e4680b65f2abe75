"""Attempts to write into gold that were refused, by whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Attempt"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One refused operation on a path relative to the version's root, and the process behind it.

    `command` is empty where the process could not be looked at any more; `pid` is 0 where it
    lives in another pid namespace.
    """

    operation: str
    path: bytes
    pid: int
    uid: int
    gid: int
    command: str
    time: datetime
