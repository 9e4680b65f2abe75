"""A worker process and the pipes to it: a fork where that is safe, else a fresh interpreter."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
from threading import Lock
from typing import NoReturn, Protocol

from dataguard.engines.worker import serve

__all__ = ["WorkerProcess", "may_fork", "start"]

_PIPE_BYTES = 1 << 18
"""Room asked for in the pipes to and from a worker."""

_UNFORKED = frozenset({"numpy", "pyarrow"})
"""Libraries with threads and locks that a fork would inherit in whatever state they are."""

_HANDLED = (signal.SIGINT, signal.SIGTERM)


class WorkerProcess(Protocol):
    """A process that serves: requests are written to one pipe, answers read from the other."""

    requests: int
    answers: int

    def terminate(self) -> None:
        """End the process, whatever it does; any thread may."""

    def end(self) -> None:
        """End the process and let go of it and its pipes."""


def start() -> WorkerProcess:
    """Start a worker.

    A fork costs a few milliseconds, a fresh interpreter forty.
    """
    process: WorkerProcess = _Forked() if may_fork() else _Spawned()
    for pipe in (process.requests, process.answers):
        with contextlib.suppress(OSError):  # beyond the user's share of pipe memory
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return process


def may_fork() -> bool:
    """Whether this process has one thread, and has loaded nothing that must not be forked."""
    try:
        threads = os.listdir("/proc/self/task")
    except OSError:  # no proc: nobody knows
        return False
    # None stands for a module that must not be loaded yet.
    return len(threads) == 1 and all(sys.modules.get(name) is None for name in _UNFORKED)


class _Forked:
    """A copy of this process that does nothing but serve."""

    def __init__(self) -> None:
        theirs, self.requests = os.pipe()
        self.answers, ours = os.pipe()
        # No handler of this process runs in the copy, which has its own before it is told of any.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
        try:
            self._pid = os.fork()
            if self._pid == 0:
                _serve_alone(theirs, ours)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(theirs)
        os.close(ours)
        self._lock = Lock()
        self._ended = False

    def terminate(self) -> None:
        with self._lock:  # once it is waited for, its number may be another's
            if not self._ended:
                os.kill(self._pid, signal.SIGTERM)

    def end(self) -> None:
        self.terminate()
        with self._lock:
            if not self._ended:
                os.close(self.requests)
                os.close(self.answers)
                os.waitpid(self._pid, 0)
                self._ended = True


def _serve_alone(requests: int, answers: int) -> NoReturn:
    """Serve in a copy of the process: nothing of the original's is used, run or flushed."""
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
        # A process group of its own: Ctrl-C is for the parent, which ends its workers in order.
        os.setpgid(0, 0)
        os.dup2(requests, 0)
        os.dup2(answers, 1)
        _close_all_but_standard()
        # What the original has not flushed stays its own; a task may print, to stderr.
        sys.stdout = sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115  for good
        serve()
    finally:
        os._exit(0)


def _close_all_but_standard() -> None:
    """Let go of the original's locks, and of the pipes of other workers."""
    for number in map(int, os.listdir("/proc/self/fd")):
        if number > 2:  # noqa: PLR2004  stdin, stdout and stderr
            with contextlib.suppress(OSError):  # the listing's own is gone
                os.close(number)


class _Spawned:
    """A fresh interpreter: neither threads nor locks of a library are inherited."""

    def __init__(self) -> None:
        import subprocess  # noqa: PLC0415  a command whose workers are forked needs none

        # -P: a file in the working directory must not stand in for a module.
        command = [
            sys.executable,
            "-P",
            "-c",
            "from dataguard.engines.worker import serve; serve()",
        ]
        self._process = subprocess.Popen(
            command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise EOFError
        self._pipes = (self._process.stdin, self._process.stdout)
        self.requests, self.answers = (pipe.fileno() for pipe in self._pipes)

    def terminate(self) -> None:
        self._process.terminate()

    def end(self) -> None:
        for pipe in self._pipes:
            pipe.close()
        self._process.terminate()
        self._process.wait()
