"""The terminal of a job: taken back when a job with job control of its own has ended."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["kept_terminal"]

_STANDARD_INPUT = 0


@contextmanager
def kept_terminal() -> Iterator[None]:
    """Be the terminal's foreground process group again at the end, if this process was before.

    A shell gives the terminal back to the group it had it from, but in a process namespace of its
    own that group has no number.
    """
    before = _foreground()
    try:
        yield
    finally:
        if before == os.getpgrp() and _foreground() != before:
            _take(before)


def _foreground() -> int | None:
    try:
        return os.tcgetpgrp(_STANDARD_INPUT)
    except OSError:
        return None  # no terminal, or not this session's


def _take(group: int) -> None:
    # Whoever is in the background and takes the terminal is stopped for it, unless that is blocked.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTTOU,))
    try:
        os.tcsetpgrp(_STANDARD_INPUT, group)
    except OSError:
        pass  # it hung up
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
