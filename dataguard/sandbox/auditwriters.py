"""Who changed which names, from the records of audit rules; see `auditrules`.

One call is an event: a `SYSCALL` record that names the process, a `PATH` for each name, and a
`PROCTITLE` with the command. They come when the call returns, also of a process that ends then.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from dataguard.model.watch import Writer
from dataguard.sandbox.auditfields import PROCTITLE, SYSCALL, number_of, read_record, text_of

__all__ = ["PATH", "Writers"]

PATH = 1302
"""Type of a record."""

_OURS = frozenset({SYSCALL, PATH, PROCTITLE})
_MOST = 50_000
_EVENTS_AT_ONCE = 256
_LATE_S = 120.0
"""How long after a call an event of that name may be asked about: numbers come again."""


@dataclass(slots=True)
class _Call:
    time_s: float
    writer: Writer
    is_told: bool = False


class Writers:
    """The last who changed each name, by the number that the process had.

    Only names are kept, not directories: whoever asks knows the number from the kernel's own
    event of the change, and number, name and time together are no other process's.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._open: dict[int, _Call] = {}
        self._known: dict[tuple[int, bytes], _Call] = {}
        self._last: dict[int, Writer] = {}

    def add(self, kind: int, text: bytes) -> bool:
        """Take one record; return whether a call is told with it.

        Those of other rules, and of other types, say nothing.
        """
        if kind not in _OURS or (kind == SYSCALL and self._key not in text):
            return False
        record = read_record(text)
        if record is None:
            return False
        serial, time_s, fields = record
        if kind == SYSCALL:
            self._begin(serial, _Call(time_s, _process(fields)))
        elif (call := self._open.get(serial)) is not None and kind == PATH:
            self._name(call, fields)
        elif call is not None:
            self._end(serial, call, fields)
            return True
        return False

    def find(self, number: int, name: bytes, now_s: float) -> Writer | None:
        """Return the process that had a number when it changed a name a moment ago."""
        call = self._known.get((number, name))
        if call is None or not call.is_told or now_s - call.time_s > _LATE_S:
            return None
        return call.writer

    def _begin(self, serial: int, call: _Call) -> None:
        self._open[serial] = call
        if len(self._open) > _EVENTS_AT_ONCE:
            del self._open[next(iter(self._open))]

    def _name(self, call: _Call, fields: dict[bytes, bytes]) -> None:
        name = fields.get(b"name", b"")
        if fields.get(b"nametype") == b"PARENT" or call.writer.pid is None or name == b"(null)":
            return
        key = call.writer.pid, os.path.basename(text_of(name))
        self._known.pop(key, None)
        self._known[key] = call
        if len(self._known) > _MOST:
            del self._known[next(iter(self._known))]

    def _end(self, serial: int, call: _Call, fields: dict[bytes, bytes]) -> None:
        """Take the command; one object serves all calls of a process."""
        del self._open[serial]
        words = text_of(fields.get(b"proctitle", b"")).split(b"\0")
        whole = replace(call.writer, command=tuple(os.fsdecode(word) for word in words if word))
        number = whole.pid or 0
        last = self._last.get(number)
        if last != whole:
            self._last.pop(number, None)
            self._last[number] = last = whole
            if len(self._last) > _MOST:
                del self._last[next(iter(self._last))]
        call.writer, call.is_told = last, True


def _process(fields: dict[bytes, bytes]) -> Writer:
    return Writer(
        pid=number_of(fields.get(b"pid", b"")) or None,
        uid=number_of(fields.get(b"uid", b"")),
        executable=os.fsdecode(text_of(fields.get(b"exe", b""))),
    )
