"""Runs one command and measures all of its process tree."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.machine import busy_s

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = ["Command", "Run", "run", "run_watched"]

NOT_PASSED_ON = ("PYTHONDONTWRITEBYTECODE", "DATAGUARD_CATALOG", "DATAGUARD_POLICY")
"""An installed program is compiled; one that may not keep its byte code compiles at each start.
And nothing is written into the catalog that the user works with."""

SECTOR_BYTES = 512
QUIET_SHARE = 0.2
"""Of one core: others may use that much in a quiet run."""

TICKS_S = 0.05
"""/proc/stat counts in hundredths of a second for each core: less than this is no measurement."""

COMPLAINT_BYTES = 2_000


@dataclass(frozen=True, slots=True)
class Command:
    """What to run: words, environment, and where its output goes (nowhere by default)."""

    words: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    output: Path | None = None
    exit_codes: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of a command took, all its processes together.

    `read` is the bytes that came from a disk, `others_s` the CPU time that everybody else used
    meanwhile. The largest resident set is not here: getrusage(2) gives a child at least that of
    the process that started it.
    """

    wall_s: float
    cpu_s: float
    read: int
    others_s: float

    @property
    def is_quiet(self) -> bool:
        """Whether others left the machine to the command."""
        return self.others_s < max(QUIET_SHARE * self.wall_s, TICKS_S)


def run(command: Command) -> Run:
    """Run a command to its end.

    Raises:
        SystemExit: it cannot be started, or its exit code is none of the expected ones.
    """
    return run_watched(command, lambda _pid: None)


def run_watched(command: Command, watch: Callable[[int], None]) -> Run:
    """Run a command; `watch` gets its process id, and returns before the end is waited for.

    Raises:
        SystemExit: as `run`.
    """
    with tempfile.TemporaryFile() as complaints:
        before, begun = busy_s(), time.perf_counter()
        pid = spawn(command, complaints.fileno())
        watch(pid)
        _, status, usage = os.wait4(pid, 0)
        wall, busy = time.perf_counter() - begun, busy_s() - before
        code = os.waitstatus_to_exitcode(status)
        if code not in command.exit_codes:
            size = complaints.seek(0, os.SEEK_END)
            complaints.seek(max(size - COMPLAINT_BYTES, 0))
            said = complaints.read().decode(errors="replace")
            sys.exit(f"exit code {code} of: {' '.join(command.words)}\n{said}")
    cpu = usage.ru_utime + usage.ru_stime
    return Run(
        wall_s=wall,
        cpu_s=cpu,
        read=usage.ru_inblock * SECTOR_BYTES,
        others_s=max(busy - cpu, 0.0),
    )


def spawn(command: Command, complaints: int) -> int:
    """Start a command and return its process id; the caller waits for it with wait4(2)."""
    inherited = {key: value for key, value in os.environ.items() if key not in NOT_PASSED_ON}
    with open(command.output or os.devnull, "wb") as output:
        try:
            process = subprocess.Popen(
                command.words,
                env=inherited | dict(command.variables),
                cwd=command.cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=complaints,
            )
        except OSError as err:
            sys.exit(f"cannot start {command.words[0]}: {err.strerror}")
    process.returncode = 0  # so that Popen never waits for it: the caller does
    return process.pid
