"""What an error of the kernel says about a path that was listed a moment ago."""

from __future__ import annotations

import errno
import os

from dataguard.model.entry import Obstacle, Unreadable

__all__ = ["obstacle_of", "unreadable"]


def obstacle_of(err: OSError) -> Obstacle:
    """Return why an entry cannot be taken into account."""
    if err.errno in (errno.EACCES, errno.EPERM):
        return Obstacle.DENIED
    if err.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR):
        return Obstacle.VANISHED
    return Obstacle.IO_ERROR


def unreadable(path: bytes, err: OSError) -> Unreadable:
    """Return the path with the obstacle and the kernel's words."""
    return Unreadable(path, obstacle_of(err), os.strerror(err.errno) if err.errno else str(err))
