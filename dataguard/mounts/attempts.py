"""The file in which a server of a mount notes refused writes: one JSON object a line.

Lines are appended whole by several processes: the server notes attempts, and whoever probes the
mount notes when it begins and ends, so that its own attempts can be told apart.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dataguard.core.paths import json_fields
from dataguard.errors import DataguardError
from dataguard.model.attempt import Attempt

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LIMIT", "note", "probing", "read", "take"]

LIMIT = 10_000
"""Attempts that one server notes; a job that tries for ever must not fill the disk."""


def note(descriptor: int, attempt: Attempt) -> None:
    """Append an attempt to an open file.

    Raises:
        OSError: it cannot be written.
    """
    _append(
        descriptor,
        {
            "time": attempt.time.isoformat(),
            "operation": attempt.operation,
            **json_fields(attempt.path),
            "pid": attempt.pid,
            "uid": attempt.uid,
            "gid": attempt.gid,
            "command": attempt.command,
        },
    )


@contextmanager
def probing(path: str, pid: int) -> Iterator[None]:
    """Let what a process attempts meanwhile count as a probe.

    Raises:
        DataguardError: the file cannot be written.
    """
    _mark(path, {"probe_begins": pid})
    try:
        yield
    finally:
        _mark(path, {"probe_ends": pid})


def read(path: str) -> tuple[Attempt, ...]:
    """Return the attempts in a file that nobody took; those of probes are left out.

    None where there is no file.

    Raises:
        DataguardError: it cannot be read, or is no such file.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            return tuple(_attempts(json.loads(line) for line in stream))
    except FileNotFoundError:
        return ()
    except OSError as err:
        raise DataguardError(f"cannot read {path}: {err.strerror}") from err
    except (ValueError, KeyError, TypeError) as err:
        raise DataguardError(f"cannot understand {path}: {err}", hint=f"rm {path}") from err


def take(path: str) -> tuple[Attempt, ...]:
    """Return the attempts in a file and note that they were taken: they are not read again.

    Raises:
        DataguardError: it cannot be read, or is no such file.
    """
    made = read(path)
    if made:
        _mark(path, {"taken": len(made)})
    return made


def _attempts(lines: Iterator[dict[str, Any]]) -> list[Attempt]:
    probers: set[int] = set()
    made: list[Attempt] = []
    for line in lines:
        if "probe_begins" in line:
            probers.add(line["probe_begins"])
        elif "probe_ends" in line:
            probers.discard(line["probe_ends"])
        elif "taken" in line:
            del made[: line["taken"]]
        elif line["pid"] not in probers:
            made.append(_attempt(line))
    return made


def _attempt(line: dict[str, Any]) -> Attempt:
    raw = line.get("path_b64")
    return Attempt(
        operation=line["operation"],
        path=line["path"].encode() if raw is None else b64decode(raw),
        pid=line["pid"],
        uid=line["uid"],
        gid=line["gid"],
        command=line["command"],
        time=datetime.fromisoformat(line["time"]),
    )


def _mark(path: str, fields: dict[str, int]) -> None:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as err:
        raise DataguardError(f"cannot write {path}: {err.strerror}") from err
    try:
        with suppress(OSError):  # a full disk: the probe shows up as attempts, which is no harm
            _append(descriptor, fields)
    finally:
        os.close(descriptor)


def _append(descriptor: int, fields: dict[str, Any]) -> None:
    os.write(descriptor, json.dumps(fields).encode() + b"\n")
