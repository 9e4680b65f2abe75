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
from typing import cast

__all__ = ["frame", "read_frame", "serve", "write"]

_LENGTH = struct.Struct("<Q")


def frame(value: object) -> bytes:
    """Return the frame of a value."""
    data = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(data)) + data


def read_frame(descriptor: int) -> object:
    """Read one value.

    Raises:
        EOFError: the other side is gone.
    """
    (length,) = _LENGTH.unpack(_read(descriptor, _LENGTH.size))
    return pickle.loads(_read(descriptor, length))  # noqa: S301  our own parent or child


def write(descriptor: int, data: bytes) -> None:
    """Write a frame to its end.

    Raises:
        BrokenPipeError: the other side is gone.
    """
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def serve() -> None:
    """Answer tasks until the parent closes the pipe or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers in order
    requests, answers = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)  # a stray print in a task must not reach the pipe
    while True:
        try:
            write(answers, frame(_answer(read_frame(requests))))
        except (EOFError, BrokenPipeError):
            return


def _answer(request: object) -> tuple[bool, object]:
    module, name, unit = cast("tuple[str, str, object]", request)
    try:
        return True, getattr(importlib.import_module(module), name)(unit)
    except Exception as error:  # noqa: BLE001  the worker border: the parent raises it again
        return False, error


def _read(descriptor: int, length: int) -> bytes | bytearray:
    data = os.read(descriptor, length)
    if len(data) == length:
        return data
    whole = bytearray(data)
    while data and len(whole) < length:
        data = os.read(descriptor, length - len(whole))
        whole += data
    if len(whole) < length:
        raise EOFError
    return whole
