"""Descriptors that the job gets from the caller, and would be a way round its mounts."""

from __future__ import annotations

import errno
import fcntl
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataguard.sandbox.shim.orders import Orders

__all__ = ["replace"]

_KEPT = os.O_ACCMODE | os.O_APPEND | os.O_NONBLOCK | os.O_NOATIME


def replace(orders: Orders) -> None:
    """Close directories, which lead into the host's mounts, and open files of gold again.

    A file that was opened through the host's mounts can be opened again for writing by
    /proc/self/fd, and its mode be changed: the job gets it through the read-only mount.
    """
    for number in orders.firsts("close"):
        os.close(int(number))
    for number, path in orders.each("reopen"):
        _reopen(int(number), path)


def _reopen(number: int, path: bytes) -> None:
    before = os.fstat(number)
    flags = fcntl.fcntl(number, fcntl.F_GETFL) & _KEPT
    fresh = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC)
    after = os.fstat(fresh)
    if (before.st_dev, before.st_ino) != (after.st_dev, after.st_ino):
        raise OSError(errno.ESTALE, "the file of a descriptor was replaced", path)
    os.lseek(fresh, os.lseek(number, 0, os.SEEK_CUR), os.SEEK_SET)
    os.dup2(fresh, number)
    os.close(fresh)
