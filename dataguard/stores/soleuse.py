"""Files that nobody else has open: asked for and watched with a write lease (fcntl(2))."""

from __future__ import annotations

import fcntl
import signal
from enum import Enum

__all__ = ["Use", "is_sole", "take_sole"]


class Use(Enum):
    """Who has a file open."""

    SOLE = "nobody else"
    SHARED = "somebody else"
    UNKNOWN = "cannot be told"


def take_sole(descriptor: int) -> Use:
    """Take a write lease, which nobody gets while somebody else has the file open or mapped.

    Whoever opens the file from now on waits until the descriptor is closed, or as long as the
    kernel lets it (/proc/sys/fs/lease-break-time). Needs CAP_LEASE or a file of one's own, and a
    file system that has leases.
    """
    try:
        # Whoever breaks it has the kernel send SIGIO, which kills; SIGURG is ignored.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    except BlockingIOError:
        return Use.SHARED
    except OSError:  # no such lease here: the answer itself
        return Use.UNKNOWN
    return Use.SOLE


def is_sole(descriptor: int) -> bool:
    """Whether the lease is held still: nobody asked for the file since.

    Raises:
        OSError: the kernel does not say.
    """
    return fcntl.fcntl(descriptor, fcntl.F_GETLEASE) == fcntl.F_WRLCK
