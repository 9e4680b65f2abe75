"""Attempts to write into gold that were refused, by whom, and what could see them."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Attempt", "Attempts", "Observable", "Observation", "Source", "Witness"]


class Witness(StrEnum):
    """Whether a run looks for refused writes as the host is, or has the host tell of them."""

    HOST = "host"
    AUDIT = "audit"


class Observable(StrEnum):
    """Whether refused writes into gold can be seen, from not at all to every one."""

    NO = "no"
    PARTLY = "partly"
    YES = "yes"

    @property
    def rank(self) -> int:
        """Order: no < partly < yes."""
        return list(Observable).index(self)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One refused operation on a path, and the process behind it.

    `path` is relative to the version's root in the notes of a mount, absolute in an observation.
    `command` is empty where the process could not be looked at any more; `pid` is 0 where it
    lives in another pid namespace, or the kernel's audit does not tell of system calls.
    """

    operation: str
    path: bytes
    pid: int
    uid: int
    gid: int
    command: str
    time: datetime

    def at(self, path: bytes) -> Attempt:
        """Return this attempt under another path."""
        return replace(self, path=path)


@dataclass(frozen=True, slots=True)
class Source:
    """What could see a job's refused writes, and how many it saw.

    `reason` says what it cannot see, or why it sees nothing. `lost` is how many it missed, None
    where that is not known.
    """

    name: str
    observable: Observable
    reason: str
    seen: int = 0
    lost: int | None = 0


@dataclass(frozen=True, slots=True)
class Observation:
    """The refused writes of a job that one source tells, under absolute paths, or the first."""

    source: Source
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True, slots=True)
class Attempts:
    """What all sources of a run came to.

    `outside` are the refusals that did not concern gold: no findings, but part of the record.
    """

    observable: Observable
    reason: str
    sources: tuple[Source, ...]
    seen: int
    lost: int | None
    outside: tuple[Attempt, ...] = ()
