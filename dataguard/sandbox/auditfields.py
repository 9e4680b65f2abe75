"""Records of the kernel's audit as text: which event each belongs to, and its fields."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["PROCTITLE", "SYSCALL", "Record", "number_of", "read_record", "text_of"]

SYSCALL, PROCTITLE = 1300, 1327
"""Types of records that most events have."""

_HEAD = re.compile(rb"audit\((\d+)\.(\d+):(\d+)\): ")
_FIELD = re.compile(rb'([a-z_]+)=("[^"]*"|\S*)')


class Record(NamedTuple):
    """One record: the event's serial number, its time in seconds since 1970, and fields."""

    serial: int
    time_s: float
    fields: dict[bytes, bytes]


def read_record(text: bytes) -> Record | None:
    """Return a record; None for what is none."""
    head = _HEAD.match(text)
    if head is None:
        return None
    fields = dict(_FIELD.findall(text, head.end()))
    return Record(int(head[3]), int(head[1]) + int(head[2]) / 1000, fields)


def text_of(value: bytes) -> bytes:
    """Return a text, which is in quotes, or in hex digits where it has odd characters."""
    if value.startswith(b'"'):
        return value[1:-1]
    try:
        return bytes.fromhex(value.decode("ascii"))
    except ValueError:
        return value


def number_of(value: bytes) -> int:
    """Return a number, 0 for what is none."""
    return int(value) if value.isdigit() else 0
