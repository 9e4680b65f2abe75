"""Mounts that are recorded only: what an ordinary user gets."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dataguard.model.mount import Backend, Guarantee
from dataguard.model.mountpoint import Made
from dataguard.mounts import points

if TYPE_CHECKING:
    from dataguard.model.mount import MountRecord

__all__ = ["DeclaredBackend"]


class DeclaredBackend:
    """Create the empty mount point; a job's own namespace can mount there later."""

    name = Backend.DECLARED
    guarantee = Guarantee.DECLARED

    def unavailable(self) -> str | None:
        """Return None: every user can declare."""
        return None

    def make(self, source: str, target: str) -> Made:
        """Create the mount point and note which directory it stands for.

        Raises:
            ConflictError: something else is there, or it cannot be created.
            StoreUnreachableError: the source is not there.
        """
        points.make_point(target)
        with points.opened_source(source) as shown, points.opened_target(target):
            status = os.fstat(shown)
        return Made(status.st_dev, status.st_ino)

    def undo(self, record: MountRecord) -> None:
        """Do nothing: nothing was mounted, and the mount point goes with the record."""
