"""Result of `list`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["DatasetList", "DatasetRow", "PlaceProof"]


@dataclass(frozen=True, slots=True)
class PlaceProof:
    """What a canary came to at a place in a bucket: by whom and when; without one, None.

    `words` say what that means now, where the policy says for how long a canary counts.
    """

    place: str
    state: str
    caller: str | None
    verified: datetime | None
    words: str


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """One line of `list`: a version with its location.

    `pinned`: whether the objects of a bucket are held by their versions; None for files.
    `canaries` say of each active location in a bucket who was shown not to be able to write there.
    """

    dataset: str
    version: int
    root: str
    files: int
    bytes: int
    location: str | None
    state: str
    seal: str = "none"
    pinned: bool | None = None
    canaries: tuple[PlaceProof, ...] = ()


@dataclass(frozen=True, slots=True)
class DatasetList:
    """Result of `list`: the newest version of each dataset."""

    datasets: tuple[DatasetRow, ...]
