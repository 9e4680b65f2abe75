"""Which run a process belongs to, as far as /proc tells."""

from __future__ import annotations

import pwd
from typing import TYPE_CHECKING

from dataguard.sandbox.processes import start_time

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ancestors", "run_of", "user_name"]

_DEEPEST = 64
_VARIABLE = b"DATAGUARD_RUN_ID="


def run_of(pid: int, started: int | None) -> str | None:
    """Return the run that a process says it is part of; None where it is none, or cannot be told.

    `started` tells the process from a later one with its pid; without it nothing is believed.
    """
    if started is None or start_time(pid) != started:
        return None
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            variables = file.read().split(b"\0")
    except OSError:  # it has gone, or is somebody else's
        return None
    if start_time(pid) != started:
        return None
    found = next((one for one in variables if one.startswith(_VARIABLE)), b"")
    return found.removeprefix(_VARIABLE).decode("utf-8", "replace") or None


def ancestors(pid: int) -> Iterator[int]:
    """Yield the parent of a process, its parent, and so on, while they are there."""
    for _ in range(_DEEPEST):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                pid = int(file.read().rpartition(")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            return
        if pid <= 1:
            return
        yield pid


def user_name(uid: int | None) -> str | None:
    """Return the name of an account, None where it has none."""
    if uid is None:
        return None
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None
