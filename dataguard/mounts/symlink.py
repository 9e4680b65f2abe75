"""A symlink to the source: convenient, and no enforcement at all."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from dataguard.errors import ConflictError, StoreUnreachableError
from dataguard.model.mount import Backend, Guarantee, MountRecord
from dataguard.model.mountpoint import Made
from dataguard.mounts.points import held

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SymlinkBackend"]


class SymlinkBackend:
    """Link to the source; whoever may write the source can write through the link."""

    name = Backend.SYMLINK
    guarantee = Guarantee.NONE

    def unavailable(self) -> str | None:
        """Return None: every user can make links."""
        return None

    def make(self, source: str, target: str) -> Made:
        """Put a link at `target` in one step; an empty directory gives way.

        Raises:
            ConflictError: something else is there, or the link cannot be created.
            StoreUnreachableError: the source is not there.
        """
        try:
            status = os.stat(source)
        except OSError as err:
            raise StoreUnreachableError(f"cannot open {source}: {err.strerror}") from err
        try:
            _link(source, target)
        except OSError as err:
            raise ConflictError(f"cannot create link {target}: {err.strerror}") from err
        return Made(status.st_dev, status.st_ino)

    def undo(self, record: MountRecord) -> None:
        """Remove the link; one that somebody changed stays, and what a link leads to too.

        Raises:
            ConflictError: the link cannot be removed.
        """
        target = record.target
        try:
            _unlink(record.source, target)
        except FileNotFoundError:
            return
        except OSError as err:
            raise ConflictError(f"cannot remove link {target}: {err.strerror}") from err


def _link(source: str, target: str) -> None:
    parent, name = os.path.split(target)
    with held(parent) as at:
        # symlink(2) is one step and never replaces anything, unlike a rename over the target
        if _is(stat.S_ISDIR, name, at):
            os.rmdir(name, dir_fd=at)
        os.symlink(source, name, target_is_directory=True, dir_fd=at)


def _unlink(source: str, target: str) -> None:
    parent, name = os.path.split(target)
    if os.path.realpath(parent) != parent:
        return  # somebody put a link on the way: what is there is not ours
    with held(parent) as at:
        if _is(stat.S_ISLNK, name, at) and os.readlink(name, dir_fd=at) == source:
            os.unlink(name, dir_fd=at)


def _is(kind: Callable[[int], bool], name: str, at: int) -> bool:
    try:
        return kind(os.lstat(name, dir_fd=at).st_mode)
    except FileNotFoundError:
        return False
