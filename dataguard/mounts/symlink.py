"""A symlink to the source: convenient, and no enforcement at all."""

from __future__ import annotations

import os

from dataguard.errors import ConflictError, StoreUnreachableError
from dataguard.model.mount import Backend, Guarantee, MountRecord
from dataguard.model.mountpoint import Made

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
        """Remove the link; one that somebody changed stays.

        Raises:
            ConflictError: the link cannot be removed.
        """
        target = record.target
        try:
            if os.path.islink(target) and os.readlink(target) == record.source:
                os.unlink(target)
        except OSError as err:
            raise ConflictError(f"cannot remove link {target}: {err.strerror}") from err


def _link(source: str, target: str) -> None:
    # symlink(2) is one step and never replaces anything, unlike a rename over the target
    if os.path.isdir(target) and not os.path.islink(target):
        os.rmdir(target)
    os.symlink(source, target, target_is_directory=True)
