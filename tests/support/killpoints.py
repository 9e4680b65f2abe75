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
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

__all__ = ["WRITE_LIKE", "KillPoint", "Tracee", "kill_everywhere", "why_no_strace"]

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


class Tracee(Protocol):
    """A process that waits until strace has attached to it; see `Shell.start`."""

    pid: int

    def wait(self, timeout_s: float) -> int:
        """Return the exit code, negative where a signal ended it."""

    def end(self) -> None:
        """Leave nothing of it behind."""


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
    command: Sequence[str] | Callable[[], Tracee],
    *,
    prepare: Callable[[], None],
    check: Callable[[KillPoint], None],
    syscalls: Sequence[str] = WRITE_LIKE,
    limit: int = 50,
    every: int = 1,
    spread: int | None = None,
    environment: Mapping[str, str] | None = None,
    directory: str | None = None,
    timeout_s: float = 60,
) -> int:
    """Kill the command at its system calls one by one and return at how many points it died.

    `command` is what strace starts, or starts a process for strace to attach to. `prepare` makes
    the state before each start, `check` judges what a death left (and may run the command again).
    At most `limit` points of a system call are tried, every `every`th of them, or with `spread` so
    many, evenly spread over those that a first start shows. What a system call does after its last
    invocation is the ordinary end, which is not checked.

    Raises:
        subprocess.TimeoutExpired: a start took longer than `timeout_s`.
    """

    def trace(expression: Sequence[str]) -> _Traced:
        prepare()
        return _trace(command, expression, environment, directory, timeout_s)

    # Names that this strace or this architecture does not know are ignored with `?`.
    profile = trace(["-e", "trace=" + ",".join(f"?{name}" for name in syscalls)])
    points = 0
    for name, count in _in_order(syscalls, profile.log):
        numbers = range(1, limit * every + 1, every) if spread is None else _spread(count, spread)
        for point in _deaths(name, trace, numbers):
            points += 1
            check(point)
    return points


def _spread(count: int, wanted: int) -> list[int]:
    """Return so many numbers from 1 to `count`, each from the middle of its share."""
    return sorted({(2 * share + 1) * count // (2 * wanted) + 1 for share in range(wanted)})


def _deaths(
    name: str, trace: Callable[[Sequence[str]], _Traced], numbers: Iterable[int]
) -> Iterator[KillPoint]:
    for number in numbers:
        inject = f"inject={name}:signal=SIGKILL:when={number}"
        done = trace(["-e", f"trace={name}", "-e", inject])
        if _KILLED not in done.log:
            return
        yield KillPoint(name, number, done.returncode)


def _in_order(syscalls: Sequence[str], log: str) -> list[tuple[str, int]]:
    """Return those of the system calls that the log has, in the order in which they were given.

    With each comes how often the thread calls it that does so most.
    """
    lines = (found for line in log.splitlines() if (found := _CALL.match(line)))
    seen = Counter((found["name"], found["thread"]) for found in lines)
    most = {
        name: max((n for (of, _), n in seen.items() if of == name), default=0) for name in syscalls
    }
    return [(name, most[name]) for name in syscalls if most[name]]


def _trace(
    command: Sequence[str] | Callable[[], Tracee],
    expression: Sequence[str],
    environment: Mapping[str, str] | None,
    directory: str | None,
    timeout_s: float,
) -> _Traced:
    # Compiled files of the interpreter would be written by the first start only.
    full = {**(os.environ if environment is None else environment), "PYTHONDONTWRITEBYTECODE": "1"}
    with tempfile.NamedTemporaryFile("r", prefix="strace-", errors="replace") as log:
        strace = ["strace", "-f", "-q", "-o", log.name, *expression]
        if callable(command):
            return _Traced(_attached(strace, command(), timeout_s), log.read())
        process = _strace([*strace, "--", *command], full, directory)
        try:
            returncode = process.wait(timeout_s)
        finally:
            _end_session(process)
        return _Traced(returncode, log.read())


def _attached(strace: Sequence[str], tracee: Tracee, timeout_s: float) -> int:
    process = _strace([*strace, "-p", str(tracee.pid)])
    try:
        returncode = tracee.wait(timeout_s)
        process.wait(timeout_s)
    finally:
        tracee.end()
        _end_session(process)
    return returncode


def _strace(
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    directory: str | None = None,
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
        cwd=directory,
        start_new_session=True,
    )


def _end_session(process: subprocess.Popen[bytes]) -> None:
    """Leave no process behind, whatever became of strace and the command."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
