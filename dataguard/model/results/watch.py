"""What `watch` tells: what it covers, what one look found, the unit that starts it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from dataguard.model.entry import Unreadable
    from dataguard.model.finding import Finding
    from dataguard.model.watch import Coverage

__all__ = ["Covered", "CoveredArea", "WatchCoverage", "WatchResult", "WatchUnit"]


@dataclass(frozen=True, slots=True)
class Covered:
    """One watched location, and what its source sees; without coverage nothing does."""

    dataset: str
    version: int
    location: str
    coverage: Coverage | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CoveredArea:
    """A directory in which copies of gold are told as they are made; with a `reason` they are not.

    `role` and `source` are those of the area that it is.
    """

    place: str
    role: str
    source: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class WatchCoverage:
    """Result of `watch --explain`; `no_audit` says why audit cannot name all who write here."""

    watched: tuple[Covered, ...]
    areas: tuple[CoveredArea, ...] = ()
    no_audit: str | None = None

    @property
    def complete(self) -> bool:
        """Whether every location has a source of events or is at least looked at."""
        return all(one.coverage is not None for one in self.watched)


@dataclass(frozen=True, slots=True)
class WatchResult:
    """Result of `watch --once`: what differs now from what was registered."""

    complete: bool
    watched: tuple[Covered, ...]
    checked_files: int
    checked_bytes: int
    findings: Collection[Finding]
    unreadable: tuple[Unreadable, ...]


@dataclass(frozen=True, slots=True)
class WatchUnit:
    """Result of `watch --emit systemd`: a unit file."""

    emit: str
    text: str
