"""Moves what a job left in the layer over gold into the directory of its run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dataguard.stores.descent import Descent
from dataguard.stores.layers import dress
from dataguard.stores.obstacles import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dataguard.model.entry import Unreadable
    from dataguard.stores.harvest import Change

__all__ = ["keep"]


def keep(changes: Iterable[Change], upper: str, top: str, place: bytes) -> tuple[Unreadable, ...]:
    """Move what a survey says is to be kept to `place` below `top`, at the same relative paths.

    Each is renamed: ended in between, everything is in one of both places. Directories look like
    those of the layer, so that nobody reads here what was closed to them there. Both directories
    are named by paths without links, and no link is followed below them. Returns what could not be
    moved, which stays in the layer.

    Raises:
        OSError: one of the directories is not there, or a link is on the way to it.
    """
    left = []
    with Descent(upper, exact=True) as source, Descent(top, exact=True) as target:
        moving = _Moving(source, target, place)
        for change in changes:
            if change.is_kept:
                try:
                    moving.move(change)
                except OSError as err:
                    left.append(unreadable(change.path, err))
    return tuple(left)


class _Moving:
    """A layer, and the directory below which its files come to lie."""

    def __init__(self, source: Descent, target: Descent, place: bytes) -> None:
        self._source, self._target, self._place = source, target, place

    def move(self, change: Change) -> None:
        parent, _, name = change.path.rpartition(b"/")
        if change.entry == "d":
            self._made(change.path)
        else:
            at = self._made(parent)
            os.rename(name, name, src_dir_fd=self._source.open(parent), dst_dir_fd=at)

    def _made(self, path: bytes) -> int:
        """Return a descriptor of the directory for one of the layer, which is made if need be."""
        missing: list[bytes] = []
        while not self._is_made(parent := missing[-1].rpartition(b"/")[0] if missing else path):
            missing.append(parent)
            if not parent:
                break
        for one in reversed(missing):
            above, _, name = self._below(one).rpartition(b"/")
            os.mkdir(name, 0o700, dir_fd=self._target.open(above))
            dress(self._target.open(self._below(one)), self._source.open(one))
        return self._target.open(self._below(path))

    def _is_made(self, path: bytes) -> bool:
        try:
            self._target.open(self._below(path))
        except FileNotFoundError:
            return False
        return True

    def _below(self, path: bytes) -> bytes:
        return os.path.join(self._place, path) if path else self._place
