"""How many workers are sensible: cores that may be used, not those that exist, and the storage."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from dataguard.model.medium import Medium

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["cores", "quota", "workers_for"]

_CONTROL = "/sys/fs/cgroup"

_NETWORK_PER_CORE = 4
_NETWORK_MOST = 16
_ROTATIONAL_MOST = 4


def workers_for(medium: Medium, cores: int) -> int:
    """Return how many workers data on a medium is read with.

    A worker that waits for a network leaves its core to another one. Four workers ask a rotating
    disk for 512 files ahead, twice what its queue holds, so that more would only add seeks; fewer
    would lose where the data is in memory. Everything else is as quick as the cores.
    """
    match medium:
        case Medium.NETWORK:
            return max(cores, min(_NETWORK_PER_CORE * cores, _NETWORK_MOST))
        case Medium.ROTATIONAL:
            return min(cores, _ROTATIONAL_MOST)
        case _:
            return cores


def cores() -> int:
    """Return how many cores this process may use: its affinity, and its control group's quota."""
    allowed = len(os.sched_getaffinity(0))
    limit = quota()
    return allowed if limit is None else max(1, min(allowed, math.ceil(limit)))


def quota(root: str = _CONTROL, membership: str = "/proc/self/cgroup") -> float | None:
    """Return the processor time that control groups allow, in cores; None without a limit.

    Reads `cpu.max` of every group from this process's up (cgroup v2) and `cpu.cfs_quota_us` (v1).
    """
    limits = [limit for folder in _groups(root, membership) for limit in _limits(folder)]
    return min(limits, default=None)


def _groups(root: str, membership: str) -> Iterator[str]:
    """Yield the folders of this process's groups and of those around them."""
    for line in _text(membership).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        below = f"{root}/{controllers}" if controllers else root
        while True:
            yield f"{below}{path.rstrip('/')}"
            if path in ("", "/"):
                break
            path = os.path.dirname(path)


def _limits(folder: str) -> Iterator[float]:
    words = _text(f"{folder}/cpu.max").split()
    if len(words) == 2 and words[0].isdigit():  # noqa: PLR2004  quota and period, or "max"
        yield int(words[0]) / int(words[1])
    old = _text(f"{folder}/cpu.cfs_quota_us").strip()
    if old.isdigit():
        yield int(old) / int(_text(f"{folder}/cpu.cfs_period_us") or "100000")


def _text(path: str) -> str:
    """Return a file of the kernel; nothing where it is not there, as outside of containers."""
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except OSError:
        return ""
