"""Starts a job, passes signals on to it, and waits for its end."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType

__all__ = ["CANNOT_EXECUTE", "NOT_FOUND", "run_job"]

CANNOT_EXECUTE = 126
NOT_FOUND = 127
_PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def run_job(command: tuple[str, ...], *, directory: str, environment: Mapping[str, str]) -> int:
    """Run a command with this process's standard streams and return its exit code.

    The job also gets the other descriptors that the caller left open for its programs, as a job
    server of make or a shell's `3>log`; those of this process close by themselves (PEP 446).

    As a shell would: 128 + n where signal n ended it, 127 where it was not found, 126 where it
    cannot be executed. SIGINT reaches the job from the terminal, SIGTERM, SIGHUP, SIGUSR1 and
    SIGUSR2 are passed on; none of them ends this process before the job.
    """
    with _signals() as waiting:
        try:
            process = subprocess.Popen(
                command, cwd=directory, env=dict(environment), close_fds=False
            )
        except FileNotFoundError:
            return NOT_FOUND
        except OSError:
            return CANNOT_EXECUTE
        waiting.attend(process)
        code = process.wait()
    return code if code >= 0 else 128 - code


class _Waiting:
    """The job that signals are passed on to; those that come before it wait for it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []

    def attend(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        while self._early:
            self._send(process, self._early.pop(0))

    def pass_on(self, number: int, _frame: FrameType | None) -> None:
        if self._process is None:
            self._early.append(number)
        else:
            self._send(self._process, number)

    def _send(self, process: subprocess.Popen[bytes], number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)


@contextlib.contextmanager
def _signals() -> Iterator[_Waiting]:
    waiting = _Waiting()
    before = {number: signal.signal(number, waiting.pass_on) for number in _PASSED_ON}
    # The terminal sends SIGINT to the job too: it decides, and we wait for it.
    before[signal.SIGINT] = signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        yield waiting
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
