"""The worker process of the local engine: reads tasks from a pipe, writes their results.

A frame is its length (LE64) and a pickle. The parent sends `(module, name, unit)`, the worker
answers `(True, result)` or `(False, exception)`. The pipes belong to the two processes alone.
"""

from __future__ import annotations

import importlib
import os
import pickle
import signal
import struct
import sys
from typing import IO, cast

__all__ = ["read_frame", "serve", "write_frame"]

_LENGTH = struct.Struct("<Q")


def write_frame(stream: IO[bytes], value: object) -> None:
    """Write one value and flush it."""
    data = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(_LENGTH.pack(len(data)))
    stream.write(data)
    stream.flush()


def read_frame(stream: IO[bytes]) -> object:
    """Read one value.

    Raises:
        EOFError: the other side is gone.
    """
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    (length,) = _LENGTH.unpack(head)
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    return pickle.loads(data)  # noqa: S301  the other side is our own parent or child


def serve() -> None:
    """Answer tasks until the parent closes the pipe or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers in order
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a stray print in a task must not reach the pipe
    while True:
        try:
            request = read_frame(requests)
        except EOFError:
            return
        try:
            write_frame(answers, _answer(request))
        except BrokenPipeError:
            return


def _answer(request: object) -> tuple[bool, object]:
    module, name, unit = cast("tuple[str, str, object]", request)
    try:
        return True, getattr(importlib.import_module(module), name)(unit)
    except Exception as error:  # noqa: BLE001  the worker border: the parent raises it again
        return False, error
