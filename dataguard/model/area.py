"""Areas: parts of a file system or bucket with a role."""

from __future__ import annotations

from enum import StrEnum

from dataguard.model.dataclass import dataclass

__all__ = ["Area", "Role"]


class Role(StrEnum):
    """What an area is for."""

    GOLD = "gold"
    OUTPUT = "output"
    SCRATCH = "scratch"


@dataclass(frozen=True, slots=True)
class Area:
    """A place with a role; `source` says what made it one, in words for the user."""

    place: str
    role: Role
    source: str
