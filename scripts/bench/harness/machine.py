"""What machine a result was measured on, and how busy others kept it."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Machine", "busy_s", "describe", "file_system"]

SOME_MOMENTS_S = 0.5


@dataclass(frozen=True, slots=True)
class Machine:
    """The facts that figures depend on.

    `others` is how many cores other processes used in the half second before anything was measured.
    """

    cores: int
    model: str
    memory: int
    kernel: str
    file_system: str
    python: str
    load: float
    others: float


def describe(directory: Path) -> Machine:
    """Return the facts of this machine, with the file system of a directory."""
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        model=processor(),
        memory=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        kernel=f"{platform.system()} {platform.release().partition('-')[0]}",
        file_system=file_system(directory),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        load=os.getloadavg()[0],
        others=busy_now(),
    )


def processor() -> str:
    """Return the processor's name, or its architecture where the kernel tells none."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.machine()


def file_system(directory: Path) -> str:
    """Return the type of the file system that holds a directory: the longest mount point."""
    holding = ("", "unknown")
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        point = before.split()[4]
        if directory.resolve().is_relative_to(point) and len(point) >= len(holding[0]):
            holding = (point, after.split()[0])
    return holding[1]


def busy_s() -> float:
    """Return the CPU seconds that all processes together used since the machine started.

    What steals from a guest counts: it was not there for the work either. See proc(5).
    """
    first = Path("/proc/stat").read_text().split("\n", 1)[0]
    user, nice, system, _idle, _wait, hard, soft, steal = map(int, first.split()[1:9])
    return (user + nice + system + hard + soft + steal) / os.sysconf("SC_CLK_TCK")


def busy_now() -> float:
    """Return how many cores are in use now."""
    before, begun = busy_s(), time.perf_counter()
    time.sleep(SOME_MOMENTS_S)
    return (busy_s() - before) / (time.perf_counter() - begun)
