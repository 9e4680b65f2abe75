"""Read-only overlays: a lasting mount that names itself in the table of mounts.

An overlay with no upper layer has nowhere to write. Unlike a bind mount it has a file system of its
own, so whoever reads mountinfo sees what it is. It needs two lower layers; the second one is the
empty mount point. Writes of a job are led elsewhere by `run --writes route`, not by this.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dataguard.errors import ConflictError
from dataguard.model.mount import Backend, Guarantee
from dataguard.model.mountpoint import OVERLAY, Made, served_as
from dataguard.mounts import mountinfo, points, privilege, syscalls
from dataguard.mounts.layering import why_no_overlay_over

if TYPE_CHECKING:
    from dataguard.model.mount import MountRecord

__all__ = ["OverlayBackend", "mounted_as", "take_away"]


class OverlayBackend:
    """Mount an overlay of the source alone; seen by nobody before it is complete."""

    name = Backend.OVERLAY
    guarantee = Guarantee.ENFORCED

    def unavailable(self) -> str | None:
        """Return why this process cannot mount overlays."""
        if not privilege.may_mount():
            return privilege.explain_missing()
        try:
            os.close(syscalls.new_filesystem(OVERLAY))
        except OSError as err:
            return f"the kernel has no overlays, or refuses them: {err.strerror}"
        return None

    def make(self, source: str, target: str) -> Made:
        """Show `source` read-only at `target`, without what is mounted below it.

        Raises:
            ConflictError: the target is in use, something is mounted below the source, or the
                kernel refuses.
            StoreUnreachableError: the source is not there.
        """
        points.make_point(target)
        with points.opened_source(source) as shown, points.opened_target(target) as point:
            _check(source, target)
            gold = os.fstat(shown)
            label = served_as(gold.st_dev, gold.st_ino)
            try:
                tree = syscalls.read_only_overlay(label, (shown, point))
                try:
                    syscalls.attach(tree, point)
                finally:
                    os.close(tree)
            except OSError as err:
                raise ConflictError(
                    f"cannot mount an overlay of {source} at {target}: {err.strerror}",
                    hint="--backend bind",
                ) from err
        return Made(gold.st_dev, gold.st_ino, mounted_as(target, label))

    def undo(self, record: MountRecord) -> None:
        """Take every overlay of ours at the target away, also while it is in use.

        Raises:
            ConflictError: a foreign mount is there, or the kernel refuses.
        """
        take_away(record)


def take_away(record: MountRecord) -> None:
    """Take every overlay at a target that a record names away, also while it is in use.

    Raises:
        ConflictError: a foreign mount is there, or the kernel refuses.
    """
    label = served_as(record.root_device, record.root_inode)
    while stack := mountinfo.read().at(record.target):
        if (stack[-1].filesystem, stack[-1].source) != (OVERLAY, label):
            raise ConflictError(
                f"something else is mounted at {record.target}",
                hint=f"findmnt {record.target}",
            )
        parent, name = os.path.split(record.target)
        try:
            with points.held(parent) as at:
                syscalls.detach(at, name)
        except OSError as err:
            raise ConflictError(
                f"cannot unmount {record.target}: {err.strerror}",
                hint="unmount as the user who mounted it, root as a rule",
            ) from err


def _check(source: str, target: str) -> None:
    reason = why_no_overlay_over(os.path.realpath(source))
    if reason is None and os.listdir(target):
        reason = f"{target} is not empty"
    if reason is not None:
        raise ConflictError(f"no overlay can show {source}: {reason}", hint="--backend bind")


def mounted_as(target: str, label: str) -> int:
    """Return the id of the overlay at a target after making sure that it is the one so labelled.

    Raises:
        ConflictError: it is another mount.
    """
    stack = mountinfo.read().at(target)
    if not stack or stack[-1].source != label:
        raise ConflictError(
            f"something else was mounted at {target} meanwhile", hint=f"findmnt {target}"
        )
    return stack[-1].mount_id
