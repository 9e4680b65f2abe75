"""Result of `list`."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DatasetList", "DatasetRow"]


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """One line of `list`: a version with its location.

    `pinned`: whether the objects of a bucket are held by their versions; None for files.
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


@dataclass(frozen=True, slots=True)
class DatasetList:
    """Result of `list`: the newest version of each dataset."""

    datasets: tuple[DatasetRow, ...]
