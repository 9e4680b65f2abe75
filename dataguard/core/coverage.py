"""What an audit could not look at: paths, and everything below them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.model.entry import Obstacle, Unreadable
from dataguard.model.finding import Code

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dataguard.core.verdicts import Difference

__all__ = ["Gaps"]

_UNKNOWN = frozenset({Obstacle.DENIED, Obstacle.IO_ERROR, Obstacle.UNSTABLE, Obstacle.ARCHIVED})
"""What leaves open whether the entry is there; all else is known to be in its place, or gone."""


class Gaps:
    """The unreadable paths of a scan so far."""

    def __init__(self) -> None:
        self._paths: set[bytes] = set()

    def add(self, unreadable: Iterable[Unreadable]) -> None:
        """Take note of paths of which it is not known whether they are there."""
        self._paths.update(item.path for item in unreadable if item.obstacle in _UNKNOWN)

    def explain(self, difference: Difference) -> bool:
        """Whether a path only seems missing because it, or what holds it, cannot be read."""
        if difference.code is not Code.DG102 or not self._paths:
            return False
        if b"" in self._paths or difference.path in self._paths:
            return True
        parts = difference.path.split(b"/")
        return any(b"/".join(parts[:count]) in self._paths for count in range(1, len(parts)))
