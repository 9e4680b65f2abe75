"""Rules by which the kernel records who changes what lies below a directory.

See audit.rules(7) and `struct audit_rule_data` in `include/uapi/linux/audit.h`. A rule's key names
the process that added it, so that what a killed one left is known.
"""

from __future__ import annotations

import contextlib
import struct

from dataguard.sandbox import auditsocket
from dataguard.sandbox.processes import start_time

__all__ = ["key_of", "remove_left", "rule_for"]

_PREFIX = b"dataguard-watch-"
_HEAD = struct.Struct("=3I64I64I64I64II")
_ON_EXIT, _ALWAYS = 4, 2
_EVERY_CALL = (0xFFFF_FFFF,) * 64
_DIRECTORY, _PERMISSION, _KEY = 107, 106, 210
_WRITE, _ATTRIBUTE = 2, 8
_EQUAL = 0x4000_0000
_MOST_FIELDS = 64
_FIELDS_AT, _VALUES_AT = 67, 131  # as numbers of the unpacked head
_COUNT_AT = 2


def key_of(pid: int) -> bytes:
    """Return the key of a process's rules."""
    return b"%s%d-%d" % (_PREFIX, pid, start_time(pid) or 0)


def rule_for(directory: bytes, key: bytes) -> bytes:
    """Return the rule that records every change below a directory, whoever makes it."""
    fields = (_DIRECTORY, _PERMISSION, _KEY)
    values = (len(directory), _WRITE | _ATTRIBUTE, len(key))
    words = (*_EVERY_CALL, *_padded(fields), *_padded(values), *_padded((_EQUAL,) * len(fields)))
    head = _HEAD.pack(_ON_EXIT, _ALWAYS, len(fields), *words, len(directory) + len(key))
    return head + directory + key


def remove_left() -> None:
    """Remove the rules of processes that are gone.

    Raises:
        OSError: the kernel does not tell its rules, or refuses.
    """
    for rule in auditsocket.rules():
        key = _key_in(rule)
        if key.startswith(_PREFIX) and not _is_alive(key):
            with contextlib.suppress(FileNotFoundError):  # somebody else was first
                auditsocket.remove_rule(rule)


def _padded(numbers: tuple[int, ...]) -> tuple[int, ...]:
    return numbers + (0,) * (_MOST_FIELDS - len(numbers))


def _key_in(rule: bytes) -> bytes:
    """Return a rule's key: texts stand one after the other, in the order of the fields."""
    head = _HEAD.unpack_from(rule)
    at = _HEAD.size
    for number in range(head[_COUNT_AT]):
        field, value = head[_FIELDS_AT + number], head[_VALUES_AT + number]
        if field == _KEY:
            return rule[at : at + value]
        if field in _TEXTS:
            at += value
    return b""


_TEXTS = frozenset({13, 14, 15, 16, 17, 19, 20, 21, 22, 23, 105, 107, 112, 210})
"""Fields whose value is the length of a text: of subject and object, watch, directory, program."""


def _is_alive(key: bytes) -> bool:
    pid, _, started = key.removeprefix(_PREFIX).partition(b"-")
    if not (pid.isdigit() and started.isdigit()):
        return True  # not ours
    return start_time(int(pid)) == int(started)
