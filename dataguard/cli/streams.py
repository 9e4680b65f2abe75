"""The standard streams: open in any case, fit for any name, quiet when their reader has gone."""

import contextlib
import errno
import io
import os
import sys
from typing import TextIO

from dataguard.errors import DataguardError

__all__ = [
    "BROKEN_PIPE",
    "ReaderGoneError",
    "finish",
    "give_up",
    "is_full",
    "prepare",
    "write",
]

BROKEN_PIPE = 141
"""What a shell says of a program that SIGPIPE ended."""


_STANDARD = (0, 1, 2)
_FAILED = 1


class ReaderGoneError(Exception):
    """Nobody reads the output any more; what was to be done is done."""


def prepare() -> None:
    """Put /dev/null where a standard stream is closed, and let no character fail.

    Without this the next file that is opened, the catalog for example, would become stdout, and
    what a job prints would go there.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) in _STANDARD:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115  it lives as long as the process
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115  it lives as long as the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def write(text: str, stream: TextIO) -> None:
    """Write and flush.

    Raises:
        ReaderGoneError: nobody reads any more; what was to be recorded is recorded.
        DataguardError: it cannot be written.
    """
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError as err:
        give_up(stream)
        raise ReaderGoneError from err
    except OSError as err:
        give_up(stream)
        raise DataguardError(
            f"cannot write the output: {err.strerror}",
            hint="the work of the command itself is done",
        ) from err


def is_full(err: OSError) -> bool:
    """Whether an error says that a stream's disk takes no more, and not that a file cannot be."""
    return err.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO) and not err.filename


def give_up(stream: TextIO) -> None:
    """Let what is still buffered go nowhere, so that the end of Python is quiet."""
    with contextlib.suppress(OSError, ValueError):
        number = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)


def finish(code: int) -> int:
    """Flush stdout and return the exit code, or another one where that fails."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        give_up(sys.stdout)
        return BROKEN_PIPE
    except OSError:
        give_up(sys.stdout)
        return code or _FAILED
    return code
