"""Whether the times and inodes of a location sheet mean something at a place now."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataguard.model.dataset import FileSystem

__all__ = ["is_usable"]


def is_usable(recorded: FileSystem | None, now: FileSystem | None) -> bool:
    """Whether stat fields recorded on one file system may be compared on another.

    A shared file system gives every host the server's inodes and times. A local one is the same
    when host and file system id are: device numbers of loop devices and volumes change when they
    are attached again, and another file system may get the number of the old one. The device
    decides where the file system has no id.
    """
    if recorded is None or now is None or recorded.kind != now.kind:
        return False
    if recorded.shared:
        return now.shared
    has_id = recorded.fsid != 0 and now.fsid != 0
    same = recorded.fsid == now.fsid if has_id else recorded.device == now.device
    return recorded.host == now.host and same
