"""Signals that a waiting process passes on to the job it waits for."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["Waiting", "held_back", "passed_on"]

_PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class Waiting:
    """The job that signals are passed on to; those that come before it wait for it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []

    def attend(self, process: subprocess.Popen[bytes]) -> None:
        """Send the process what came so far, and from now on what comes."""
        self._process = process
        while self._early:
            self._send(process, self._early.pop(0))

    def pass_on(self, number: int, _frame: FrameType | None) -> None:
        """Handle one signal."""
        if self._process is None:
            self._early.append(number)
        else:
            self._send(self._process, number)

    def _send(self, process: subprocess.Popen[bytes], number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)


@contextlib.contextmanager
def passed_on() -> Iterator[Waiting]:
    """Pass signals on instead of being ended by them, while a job runs."""
    waiting = Waiting()
    before = {number: signal.signal(number, waiting.pass_on) for number in _PASSED_ON}
    # The terminal sends SIGINT to the job too: it decides, and we wait for it.
    before[signal.SIGINT] = signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        yield waiting
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def held_back() -> Iterator[set[int]]:
    """Block these signals, for a process that is started meanwhile until it can handle them.

    Yields those that were blocked before.
    """
    held = (*_PASSED_ON, signal.SIGINT, signal.SIGQUIT)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, held)
    try:
        yield {int(number) for number in before}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
