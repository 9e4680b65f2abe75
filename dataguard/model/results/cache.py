"""What the `cache` commands came to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from datetime import datetime

    from dataguard.model.cache import CacheIncident

__all__ = [
    "CacheDamage",
    "CachePinned",
    "CachePruned",
    "CacheShare",
    "CacheShown",
    "CacheVerified",
]


@dataclass(frozen=True, slots=True)
class CachePinned:
    """Who keeps objects in the cache; `holds` is False where whoever it was is gone."""

    subject: str
    objects: int
    since: datetime
    host: str
    process: int
    lasting: bool
    holds: bool


@dataclass(frozen=True, slots=True)
class CacheShare:
    """The cache of a group, or of everybody where `group` is None.

    `growing` are objects on their way, those of killed processes included.
    """

    place: str
    group: int | None
    files: int
    bytes: int
    growing: int
    growing_bytes: int
    pins: tuple[CachePinned, ...]
    incidents: tuple[CacheIncident, ...]


@dataclass(frozen=True, slots=True)
class CacheShown:
    """Result of `cache show`; `closed` are the caches of groups that this user is not in."""

    place: str
    filesystem: str
    available: int
    high: int
    low: int
    files: int
    bytes: int
    caches: tuple[CacheShare, ...]
    closed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CachePruned:
    """Result of `cache prune`: what went, and what is left."""

    place: str
    removed_files: int
    removed_bytes: int
    removed_parts: int
    files: int
    bytes: int
    closed: tuple[str, ...]
    dry_run: bool


@dataclass(frozen=True, slots=True)
class CacheDamage:
    """An object that is not what its name says, or could not be read."""

    path: str
    message: str


@dataclass(frozen=True, slots=True)
class CacheVerified:
    """Result of `cache verify`; `damaged` objects were removed, unless it was a dry run."""

    place: str
    complete: bool
    checked_files: int
    checked_bytes: int
    damaged: tuple[CacheDamage, ...]
    unreadable: tuple[CacheDamage, ...]
    closed: tuple[str, ...]
    dry_run: bool
