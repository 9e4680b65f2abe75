"""Descriptors that the caller left open for the job, and those among them that lead into gold."""

from __future__ import annotations

import fcntl
import os
import stat
from typing import TYPE_CHECKING

from dataguard.core.paths import is_inside
from dataguard.errors import NotStartedError
from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Inherited", "inherit"]

_STREAMS = {0: "standard input", 1: "standard output", 2: "standard error"}


@dataclass(frozen=True, slots=True)
class Inherited:
    """Numbers of the descriptors the job gets; some of them it does not, or as a fresh one.

    Directories are `closed`: through them the host's own mounts can be reached. Files of gold are
    `reopened`, by their path, through the read-only mount.
    """

    passed: tuple[int, ...]
    closed: tuple[int, ...] = ()
    reopened: tuple[tuple[int, str], ...] = ()


def inherit(gold: tuple[str, ...]) -> Inherited:
    """Return what a job gets of this process's inheritable descriptors.

    Raises:
        NotStartedError: one is open for writing in gold, or to a disk.
    """
    passed, closed, reopened = [], [], []
    for number, status in _inheritable():
        place = os.readlink(f"/proc/self/fd/{number}")
        writable = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
        in_gold = any(is_inside(place, one) for one in gold) and status.st_nlink > 0
        if writable and (in_gold or stat.S_ISBLK(status.st_mode)):
            raise NotStartedError(
                f"{_STREAMS.get(number, f'descriptor {number}')} is open for writing to {place}",
                hint="send it to a file outside gold",
            )
        if stat.S_ISDIR(status.st_mode):
            closed.append(number)
        elif in_gold:
            reopened.append((number, place))
        passed.append(number)
    return Inherited(tuple(passed), tuple(closed), tuple(reopened))


def _inheritable() -> Iterator[tuple[int, os.stat_result]]:
    for name in os.listdir("/proc/self/fd"):
        try:
            number = int(name)
            if os.get_inheritable(number):
                yield number, os.fstat(number)
        except OSError:
            continue  # the descriptor of the listing itself
