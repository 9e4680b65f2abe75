"""What actions are given instead of reading it from the world: clock, progress."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

__all__ = ["Clock", "NoProgress", "Progress"]

Clock = Callable[[], datetime]
"""Returns the time now, aware, in UTC."""


class Progress(Protocol):
    """Where long work says how far it is."""

    def start(self, what: str, total_bytes: int | None = None) -> None:
        """Begin a phase; `total_bytes` is None where the size is not known."""

    def advance(self, files: int, size: int) -> None:
        """Count files and bytes done since the last call."""

    def finish(self) -> None:
        """End the phase."""


class NoProgress:
    """Progress that nobody looks at."""

    def start(self, what: str, total_bytes: int | None = None) -> None:
        """Do nothing."""

    def advance(self, files: int, size: int) -> None:
        """Do nothing."""

    def finish(self) -> None:
        """Do nothing."""
