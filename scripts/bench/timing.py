"""How the benchmarks take times: whole commands, taking turns, judged by medians."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["report", "seconds"]

NOT_PASSED_ON = ("PYTHONDONTWRITEBYTECODE",)
"""An installed program is compiled; one that may not keep its byte code compiles at each start."""


def seconds(command: Sequence[str], **variables: str) -> float:
    """Run a command with more environment variables, its output thrown away; return its time."""
    inherited = {key: value for key, value in os.environ.items() if key not in NOT_PASSED_ON}
    begun = time.perf_counter()
    subprocess.run(
        command,
        env=inherited | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - begun


def report(times: dict[str, list[float]]) -> dict[str, float]:
    """Print the rounds and the median of each command, and return the medians."""
    medians = {name: statistics.median(rounds) for name, rounds in times.items()}
    width = max(len(name) for name in times)
    for name, rounds in times.items():
        row = " ".join(f"{one:.2f}" for one in rounds)
        print(f"{name:{width}}  median {medians[name]:.3f} s  rounds {row}")
    return medians
