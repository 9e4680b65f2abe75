"""Kills a command at each of its write-like system calls in turn, with strace.

The signal comes on entry, before the call takes effect, so point N of a call is the state in which
everything before its Nth invocation happened. strace counts for each thread by itself. Its
`--seccomp-bpf` would be faster, but then (6.1) it does not deliver injected signals.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["WRITE_LIKE", "KillPoint", "kill_everywhere", "why_no_strace"]

WRITE_LIKE = (
    "write",
    "pwrite64",
    "writev",
    "copy_file_range",
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "renameat2",
    "mkdir",
    "mkdirat",
    "rmdir",
    "unlink",
    "unlinkat",
    "ftruncate",
    "fchmod",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "flock",
    "fcntl",
    "mount",
    "umount2",
    "open_tree",
    "move_mount",
    "mount_setattr",
)

_CALL = re.compile(r"(?P<thread>\d+) +(?P<name>[a-z_0-9]+)\(")
_KILLED = "+++ killed by SIGKILL +++"


@dataclass(frozen=True, slots=True)
class KillPoint:
    """The `number`th invocation of `syscall`, counted from 1; `returncode` as subprocess has it."""

    syscall: str
    number: int
    returncode: int


@dataclass(frozen=True, slots=True)
class _Traced:
    returncode: int
    log: str


def why_no_strace() -> str:
    """Return why commands cannot be killed with strace here; empty where they can."""
    strace = shutil.which("strace")
    if strace is None:
        return "strace is not installed"
    trial = [strace, "-qq", "-o", "/dev/null", "true"]
    done = subprocess.run(trial, check=False, capture_output=True)
    return "" if done.returncode == 0 else "strace may not trace here"


def kill_everywhere(
    command: Sequence[str],
    *,
    prepare: Callable[[], None],
    check: Callable[[KillPoint], None],
    syscalls: Sequence[str] = WRITE_LIKE,
    limit: int = 50,
    every: int = 1,
    environment: Mapping[str, str] | None = None,
    directory: str | None = None,
    timeout_s: float = 60,
) -> int:
    """Kill the command at its system calls one by one and return at how many points it died.

    `prepare` makes the state before each start, `check` judges what a death left (and may run the
    command again). At most `limit` points of a system call are tried, every `every`th of them;
    what a system call does after its last invocation is the ordinary end, which is not checked.

    Raises:
        subprocess.TimeoutExpired: a start took longer than `timeout_s`.
    """

    def trace(expression: Sequence[str]) -> _Traced:
        prepare()
        return _trace(command, expression, environment, directory, timeout_s)

    # Names that this strace or this architecture does not know are ignored with `?`.
    profile = trace(["-e", "trace=" + ",".join(f"?{name}" for name in syscalls)])
    points = 0
    for name in _in_order(syscalls, profile.log):
        for point in _deaths(name, trace, limit=limit, every=every):
            points += 1
            check(point)
    return points


def _deaths(
    name: str, trace: Callable[[Sequence[str]], _Traced], *, limit: int, every: int
) -> Iterator[KillPoint]:
    for number in range(1, limit * every + 1, every):
        inject = f"inject={name}:signal=SIGKILL:when={number}"
        done = trace(["-e", f"trace={name}", "-e", inject])
        if _KILLED not in done.log:
            return
        yield KillPoint(name, number, done.returncode)


def _in_order(syscalls: Sequence[str], log: str) -> list[str]:
    """Return those of the system calls that the log has, in the order in which they were given."""
    seen = Counter(found["name"] for line in log.splitlines() if (found := _CALL.match(line)))
    return [name for name in syscalls if seen[name]]


def _trace(
    command: Sequence[str],
    expression: Sequence[str],
    environment: Mapping[str, str] | None,
    directory: str | None,
    timeout_s: float,
) -> _Traced:
    # Compiled files of the interpreter would be written by the first start only.
    full = {**(os.environ if environment is None else environment), "PYTHONDONTWRITEBYTECODE": "1"}
    with tempfile.NamedTemporaryFile("r", prefix="strace-", errors="replace") as log:
        process = subprocess.Popen(
            ["strace", "-f", "-q", "-o", log.name, *expression, "--", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=full,
            cwd=directory,
            start_new_session=True,
        )
        try:
            returncode = process.wait(timeout_s)
        finally:
            _end_session(process)
        return _Traced(returncode, log.read())


def _end_session(process: subprocess.Popen[bytes]) -> None:
    """Leave no process behind, whatever became of strace and the command."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
