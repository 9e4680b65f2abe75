"""Moves what a job left in the layer over gold into the directory of its run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dataguard.stores.descent import Descent
from dataguard.stores.obstacles import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dataguard.model.entry import Unreadable
    from dataguard.stores.harvest import Change

__all__ = ["keep"]


def keep(changes: Iterable[Change], upper: str, place: str) -> tuple[Unreadable, ...]:
    """Move what a survey says is to be kept into an empty directory, at the same relative paths.

    Each is renamed: ended in between, everything is in one of both places. Returns what could not
    be moved, which stays in the layer.

    Raises:
        OSError: one of the directories is not there.
    """
    left = []
    with Descent(upper) as source, Descent(place) as target:
        for change in changes:
            if change.is_kept:
                try:
                    _move(change, source, target)
                except OSError as err:
                    left.append(unreadable(change.path, err))
    return tuple(left)


def _move(change: Change, source: Descent, target: Descent) -> None:
    parent, _, name = change.path.rpartition(b"/")
    if change.entry == "d":
        _made(target, change.path)
    else:
        at = _made(target, parent)
        os.rename(name, name, src_dir_fd=source.open(parent), dst_dir_fd=at)


def _made(target: Descent, path: bytes) -> int:
    """Return a descriptor of a directory after making it, with those above it, if need be."""
    try:
        return target.open(path)
    except FileNotFoundError:
        parent, _, name = path.rpartition(b"/")
        os.mkdir(name, dir_fd=_made(target, parent))
        return target.open(path)
