"""What the kernel's audit says of refusals by Landlock: its records as text, put together.

One refusal is an event: a `LANDLOCK_ACCESS` record, for a process that is audited `SYSCALL` and
`PROCTITLE` too, all with one serial number, and for the first one of a domain a `LANDLOCK_DOMAIN`
that names the process which put the rules in force. Another one at the end of the domain has the
number of its refusals. See security/landlock in the kernel's administration guide.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from dataguard.core.secretwords import words_without_secrets
from dataguard.model.attempt import Attempt
from dataguard.sandbox.auditfields import PROCTITLE, SYSCALL, number_of, read_record, text_of

__all__ = ["ACCESS", "DOMAIN", "LIMIT", "Domain", "Refusals"]

ACCESS, DOMAIN = 1423, 1424
"""Types of records."""

LIMIT = 10_000
"""Refusals that are kept of a run; more are counted."""

_EVENTS_AT_ONCE = 256
"""Events whose further records are awaited: they come close together."""

_OPERATIONS = (
    (b"change_topology", "mount"),
    (b"refer", "rename"),
    (b"make_reg", "create"),
    (b"make_dir", "mkdir"),
    (b"make_sym", "symlink"),
    (b"make_fifo", "mkfifo"),
    (b"make_sock", "bind"),
    (b"make_char", "mknod"),
    (b"make_block", "mknod"),
    (b"remove_file", "unlink"),
    (b"remove_dir", "rmdir"),
    (b"truncate", "truncate"),
    (b"write_file", "open"),
)
"""What a refused right was wanted for; several at once are a rename or a link."""


@dataclass(slots=True)
class Domain:
    """The refusals of one set of rules, by serial number; `process` put them in force, for `uid`.

    `seen` are those that were told, `total` is what the kernel counted, known when it is over.
    """

    process: int | None = None
    uid: int = 0
    refused: dict[int, Attempt] = field(default_factory=dict)
    seen: int = 0
    total: int | None = None


class Refusals:
    """The refusals of all domains; those that are known to be of others are forgotten.

    The first of a domain is not kept: a shim provokes it, so that its domain is named.
    """

    def __init__(self) -> None:
        self._domains: dict[bytes, Domain] = {}
        self._events: dict[int, Domain] = {}
        self._process: int | None = None

    def add(self, kind: int, record: bytes) -> None:
        """Take one record; what is none of the four types or cannot be read says nothing."""
        found = read_record(record)
        if found is None or (kind in (SYSCALL, PROCTITLE) and found.serial not in self._events):
            return
        serial, time_s, fields = found
        if kind == ACCESS:
            self._refused(serial, fields, datetime.fromtimestamp(time_s, UTC))
        elif kind == DOMAIN:
            self._domain(serial, fields)
        elif kind == SYSCALL:
            self._amend(serial, _process_of(fields))
        elif kind == PROCTITLE:
            self._amend(serial, {"command": _command(fields.get(b"proctitle", b""))})

    def expect(self, process: int) -> None:
        """Keep only what the rules refuse that this process put in force."""
        self._process = process
        for name, domain in list(self._domains.items()):
            if self._is_foreign(domain):
                del self._domains[name]

    def of(self, process: int) -> Domain | None:
        """Return the refusals by the rules that a process put in force; None where none came."""
        return next((one for one in self._domains.values() if one.process == process), None)

    def _refused(self, serial: int, fields: dict[bytes, bytes], time: datetime) -> None:
        domain = self._domains.setdefault(fields.get(b"domain", b""), Domain())
        domain.seen += 1
        if b"path" not in fields or len(domain.refused) >= LIMIT or self._is_foreign(domain):
            return
        # Of an event with two of them, as of a rename, the second one is the new place.
        key = serial * 2 + (serial * 2 in domain.refused)
        operation = _operation(fields.get(b"blockers", b""))
        path = text_of(fields[b"path"])
        domain.refused[key] = Attempt(operation, path, 0, domain.uid, 0, "", time)
        self._events[serial] = domain
        if len(self._events) > _EVENTS_AT_ONCE:
            del self._events[next(iter(self._events))]

    def _domain(self, serial: int, fields: dict[bytes, bytes]) -> None:
        name = fields.get(b"domain", b"")
        domain = self._domains.setdefault(name, Domain())
        if b"pid" in fields:
            domain.process = number_of(fields[b"pid"])
            domain.uid = number_of(fields.get(b"uid", b""))
            domain.refused.pop(serial * 2, None)
        if b"denials" in fields:
            domain.total = number_of(fields[b"denials"])
        if self._is_foreign(domain):
            domain.refused.clear()
            if domain.total is not None:
                del self._domains[name]

    def _is_foreign(self, domain: Domain) -> bool:
        return None not in (self._process, domain.process) and domain.process != self._process

    def _amend(self, serial: int, known: dict[str, str | int]) -> None:
        refused = self._events[serial].refused
        for key in (serial * 2, serial * 2 + 1):
            if key in refused:
                refused[key] = _amended(refused[key], known)


def _amended(attempt: Attempt, known: dict[str, str | int]) -> Attempt:
    return replace(
        attempt,
        pid=int(known.get("pid", attempt.pid)),
        uid=int(known.get("uid", attempt.uid)),
        gid=int(known.get("gid", attempt.gid)),
        command=str(known.get("command", attempt.command)),
    )


def _process_of(fields: dict[bytes, bytes]) -> dict[str, str | int]:
    numbers = {name: number_of(fields.get(name.encode(), b"0")) for name in ("pid", "uid", "gid")}
    return {**numbers, "command": text_of(fields.get(b"exe", b"")).decode("utf-8", "replace")}


def _command(value: bytes) -> str:
    words = text_of(value).split(b"\0")
    told = tuple(word.decode("utf-8", "backslashreplace") for word in words)
    return " ".join(words_without_secrets(told))


def _operation(blockers: bytes) -> str:
    return next((said for right, said in _OPERATIONS if right in blockers), blockers.decode())
