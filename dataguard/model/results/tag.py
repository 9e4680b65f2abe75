"""Result of `tag`."""

from __future__ import annotations

from dataguard.model.dataclass import dataclass

__all__ = ["TagResult"]


@dataclass(frozen=True, slots=True)
class TagResult:
    """Result of `tag`; `previous` is the version the tag named before."""

    dataset: str
    tag: str
    version: int
    root: str
    previous: int | None
    dry_run: bool = False
