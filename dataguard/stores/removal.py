"""Removes trees that jobs made, however deep, and through no link."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING

from dataguard.stores.descent import Descent

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["remove_tree"]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(top: str) -> None:
    """Remove a directory with all that is in it; what cannot be removed stays.

    Nothing is removed where a link is in its place, or on the way to the directory it lies in. The
    depth of the tree costs neither stack nor descriptors, as it does with `shutil.rmtree`: each
    directory is moved to the top before it is emptied.
    """
    with suppress(OSError):
        with Descent(top, exact=True) as tree:
            _empty(tree.root)
        os.rmdir(top)


def _empty(top: int) -> None:
    free = (f"{secrets.token_hex(8)}-{number}".encode() for number in count())
    pending = [b"."]
    while pending:
        name = pending.pop()
        with suppress(OSError):
            pending += _moved_up(name, top, free)
            if name != b".":
                os.rmdir(name, dir_fd=top)


def _moved_up(name: bytes, top: int, free: Iterator[bytes]) -> list[bytes]:
    """Remove what is in a directory but for other directories; return their names at the top."""
    moved = []
    at = os.open(name, _DIRECTORY, dir_fd=top)
    try:
        for below in _directories(at):
            with suppress(OSError):
                target = next(free)
                os.rename(below, target, src_dir_fd=at, dst_dir_fd=top)
                moved.append(target)
    finally:
        os.close(at)
    return moved


def _directories(at: int) -> list[bytes]:
    """Return the directories in one, after removing all else."""
    found = []
    with os.scandir(at) as entries:
        for entry in entries:
            name = os.fsencode(entry.name)
            if entry.is_dir(follow_symlinks=False):
                found.append(name)
            else:
                with suppress(OSError):
                    os.unlink(name, dir_fd=at)
    return found
