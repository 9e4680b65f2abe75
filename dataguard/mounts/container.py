"""Mounts that a container's runtime made: looked at and proven, never made or taken away here."""

from __future__ import annotations

import os

from dataguard.errors import ConflictError
from dataguard.model.mount import Backend, Guarantee, MountRecord
from dataguard.model.mountpoint import Made, TargetKind
from dataguard.mounts import privilege
from dataguard.mounts.view import look

__all__ = ["ContainerBackend", "shown_at"]


class ContainerBackend:
    """Take what the runtime shows, where it is the source; the probe then tells its worth.

    Mounting inside a container needs a right that undoes the container's own protection, so
    dataguard prints configuration for the runtime (`mount --emit`) and checks what came of it.
    """

    name = Backend.CONTAINER
    guarantee = Guarantee.ENFORCED

    def unavailable(self) -> str | None:
        """Return why there is no runtime that could have mounted something, or None."""
        return None if privilege.in_container() else "this is no container"

    def make(self, source: str, target: str) -> Made:
        """Make sure that a directory is shown at `target`, and the source where that is visible.

        Raises:
            ConflictError: nothing is shown there, or something else than the source.
        """
        view = look(target)
        if view.device is None or view.inode is None or view.kind is not TargetKind.FULL:
            raise _not_shown(source, f"nothing at {target}")
        try:
            there = os.stat(source)
        except OSError:  # the runtime shows it at the target only
            there = None
        if there is not None and (there.st_dev, there.st_ino) != (view.device, view.inode):
            raise _not_shown(source, f"another directory than {source} at {target}")
        return Made(
            view.device, view.inode, None if view.through is None else view.through.mount_id
        )

    def undo(self, record: MountRecord) -> None:
        """Do nothing: what the runtime mounted goes with the container."""


def shown_at(source: str, target: str) -> str:
    """Return where a container shows a source: mounted at the target, or at its own place.

    Raises:
        ConflictError: at neither.
    """
    if look(target).stack:
        return target
    if os.path.isdir(source):
        return os.path.realpath(source)
    raise _not_shown(source, f"nothing at {target} and nothing at {source}")


def _not_shown(source: str, what: str) -> ConflictError:
    return ConflictError(
        f"the container's runtime shows {what}, and inside a container nothing is mounted",
        hint=f"on the host, for {source}: dataguard mount --emit docker",
    )
