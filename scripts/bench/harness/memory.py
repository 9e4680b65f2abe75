"""The peak memory of a process tree: proportional set sizes, sampled and summed."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from harness.running import run_watched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.running import Command, Run

__all__ = ["peak_pss", "pss", "tree", "until_end"]

EVERY_S = 0.01


def peak_pss(command: Command) -> tuple[int, Run]:
    """Run a command and return the largest sum of its processes' PSS, in bytes, and the run.

    Sampling takes time of its own, so the run counts for no other figure. A page that several
    processes share is counted once, a part in each; see proc(5) on smaps_rollup.
    """
    peak = 0

    def sample(pids: tuple[int, ...]) -> None:
        nonlocal peak
        peak = max(peak, sum(map(pss, pids)))

    taken = run_watched(command, until_end(sample))
    return peak, taken


def until_end(look: Callable[[tuple[int, ...]], None]) -> Callable[[int], None]:
    """Return a watcher that looks at the tree of a process again and again until it ends."""

    def watch(pid: int) -> None:
        while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            look(tuple(tree(pid)))
            time.sleep(EVERY_S)

    return watch


def tree(pid: int) -> Iterator[int]:
    """Yield a process and all its descendants."""
    yield pid
    with contextlib.suppress(OSError):  # it ended meanwhile
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                for child in Path(f"/proc/{pid}/task/{thread}/children").read_text().split():
                    yield from tree(int(child))


def pss(pid: int) -> int:
    """Return the proportional set size of a process in bytes; 0 once it has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
