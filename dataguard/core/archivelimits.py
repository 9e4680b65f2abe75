"""How far an archive is followed: an archive can hold far more than it takes, on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Allowance", "ArchiveLimits", "LimitReachedError"]


class LimitReachedError(Exception):
    """An archive holds more than is looked at; the message says of what."""


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """What is read of one archive at most.

    `depth` archives inside one another are opened. All they hold may be `ratio` times the bytes of
    the outermost one, or `least` bytes where that is more, and never above `output`. An archive
    that has to be unpacked to be opened may have `inner` bytes.
    """

    depth: int = 2
    members: int = 1_000_000
    ratio: int = 100
    least: int = 1 << 30
    output: int = 1 << 40
    inner: int = 1 << 30

    def output_of(self, stored: int) -> int:
        """Return how many bytes an archive of this size may come to."""
        return min(max(stored * self.ratio, self.least), self.output)


class Allowance:
    """What is left to be read of one archive; used up as it is read."""

    def __init__(
        self, limits: ArchiveLimits, stored: int, expired: Callable[[], bool] = lambda: False
    ) -> None:
        """Begin for an archive of `stored` bytes; `expired` says that the time is over."""
        self._limits = limits
        self._bytes = limits.output_of(stored)
        self._members = limits.members
        self._expired = expired

    def take_bytes(self, count: int) -> None:
        """Count what was unpacked.

        Raises:
            LimitReachedError: that was too much, or took too long.
        """
        self._bytes -= count
        if self._bytes < 0:
            raise LimitReachedError("it unpacks to more than is looked at")
        if self._expired():
            raise LimitReachedError("the time was over")

    def take_member(self) -> None:
        """Count a member.

        Raises:
            LimitReachedError: there are too many.
        """
        self._members -= 1
        if self._members < 0:
            raise LimitReachedError(f"it has more than {self._limits.members:,} members")
