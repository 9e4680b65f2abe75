"""Tasks that tests give to engines: workers import this module and nothing of pytest."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
import time
from pathlib import Path

__all__ = [
    "die_once",
    "double",
    "fail",
    "kill_itself",
    "module_file",
    "modules",
    "note",
    "open_files",
    "print_and_double",
    "process",
    "raise_end_of_file",
    "slow_double",
    "slow_process",
    "want_keyword",
]


class KeywordError(Exception):
    """An error with more than its message."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


def double(unit: int) -> int:
    return unit * 2


def slow_double(unit: int) -> int:
    time.sleep(0.01 * (unit % 3))
    return unit * 2


def fail(unit: int) -> int:
    if unit == 3:
        raise ValueError(f"unit {unit} cannot be done")
    return unit


def want_keyword(unit: str) -> None:
    raise KeywordError(unit, hint="try again")


def raise_end_of_file(unit: int) -> int:
    raise EOFError(f"the file of unit {unit} ends early")


def process(_unit: object) -> int:
    return os.getpid()


def slow_process(_unit: object) -> int:
    time.sleep(0.005)
    return os.getpid()


def kill_itself(unit: int) -> int:
    if unit == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return unit


def die_once(unit: str) -> str:
    """Die at the first try; a file at the path `unit` tells that it happened."""
    marker = Path(unit)
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return unit


class ParticularError(Exception):
    """An error that pickles and cannot be made again of what was pickled."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")

    def __reduce__(self) -> tuple[type[ParticularError], tuple[str, ...]]:
        """As every error: said here, tblib, which comes with dask, leaves it so."""
        return ParticularError, self.args


def raise_what_cannot_be_copied(unit: int) -> int:
    raise ParticularError(str(unit), "particular")


def print_and_double(unit: int) -> int:
    print("a stray print", unit, flush=True)
    os.write(1, b"and one past Python\n")
    return unit * 2


def note(unit: str) -> bool:
    """Write a `log:number` down, from number 6 on only after three whose number is `rest`.

    Tells whether it waited for them in vain.
    """
    path, _, number = unit.partition(":")
    deadline = time.monotonic() + 20
    while number.isdigit() and int(number) >= 6 and time.monotonic() < deadline:
        with open(path) as log:
            if log.read().count("rest") == 3:
                break
        time.sleep(0.01)
    with open(path, "a") as log:
        log.write(number + "\n")
    return time.monotonic() >= deadline


def module_file(name: str) -> str:
    """Return where a module was imported from."""
    import importlib

    return str(importlib.import_module(name).__file__)


def modules(name: str) -> list[str]:
    """What the process has loaded, a module that it is to load included."""
    importlib.import_module(name)
    return sorted(sys.modules)


def open_files(_unit: object) -> list[str]:
    """What the descriptors of the process stand for, but for the one that looks."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/self/fd/{number}"))
    return found
