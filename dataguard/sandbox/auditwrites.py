"""Listens to the kernel's audit for who changes what lies below some directories."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.errors import ConflictError
from dataguard.sandbox import auditsocket
from dataguard.sandbox.auditreader import AuditReader, why_deaf
from dataguard.sandbox.auditrules import key_of, remove_left, rule_for
from dataguard.sandbox.auditswitch import switched_on
from dataguard.sandbox.auditwriters import Writers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dataguard.model.watch import Writer

__all__ = ["AuditWrites", "why_not"]

_BUFFER_BYTES = 64 << 20
"""A burst of some 10,000 files may wait; the memory is the kernel's, and only then."""


_PATIENCE_S = 0.5


class AuditWrites:
    """Who wrote, for those who ask soon after; a rule for each directory that is followed.

    Auditing is switched on meanwhile where it was off. A process that is killed leaves its rules,
    which the next one removes.
    """

    def __init__(self) -> None:
        """Listen to nothing yet."""
        key = key_of(os.getpid())
        self._key = key
        self._writers = Writers(key)
        self._rules: dict[bytes, bytes] = {}
        self._opened = contextlib.ExitStack()
        self._lost = threading.Event()
        self._news = threading.Condition()

    def open(self) -> None:
        """Listen from now on.

        Raises:
            ConflictError: this process, or this host, does not allow it.
        """
        if (reason := why_not()) is not None:
            raise ConflictError(f"audit does not work here: {reason}", hint="--attribution events")
        try:
            with contextlib.ExitStack() as stack:
                stack.enter_context(switched_on())
                remove_left()
                channel = auditsocket.listening(_BUFFER_BYTES)
                reader = AuditReader(channel, self._take, self._lost.set)
                reader.start()
                stack.callback(reader.close)
                self._opened = stack.pop_all()
        except OSError as err:
            raise ConflictError(
                f"audit does not work here: {err.strerror}", hint="--attribution events"
            ) from err

    def follow(self, directories: Iterable[bytes]) -> tuple[str, ...]:
        """Have changes below these recorded and below no others; return what went wrong."""
        wanted = set(directories)
        troubles: list[str] = []
        for directory in self._rules.keys() - wanted:
            self._forget(directory)
        for directory in sorted(wanted - self._rules.keys()):
            rule = rule_for(directory, self._key)
            try:
                auditsocket.add_rule(rule)
            except OSError as err:
                where = os.fsdecode(directory)
                troubles.append(f"audit does not record who writes to {where}: {err.strerror}")
            else:
                self._rules[directory] = rule
        return tuple(troubles)

    def completed(self, asked: Sequence[tuple[Writer, bytes]]) -> list[Writer]:
        """Return writers with what the records say of processes that were gone too soon.

        Each comes with a name that it changed. Records are awaited for half a second: the kernel
        tells of a call when it returns, and of what it did to a file before that.
        """
        until = time.monotonic() + _PATIENCE_S
        with self._news:
            while True:
                found = [self._completed(*one) for one in asked]
                left = until - time.monotonic()
                if left <= 0 or not any(map(_is_vague, found)):
                    return found
                self._news.wait(left)

    def _completed(self, writer: Writer, name: bytes) -> Writer:
        if not _is_vague(writer) or writer.number is None:
            return writer
        found = self._writers.find(writer.number, name, time.time())
        return writer if found is None else replace(found, number=found.pid, cgroup=writer.cgroup)

    def _take(self, kind: int, record: bytes) -> None:
        with self._news:
            if self._writers.add(kind, record):
                self._news.notify_all()

    def take_lost(self) -> bool:
        """Whether records were lost since this was asked last."""
        lost = self._lost.is_set()
        self._lost.clear()
        return lost

    def close(self) -> None:
        """Take the rules back, and listen no more."""
        for directory in tuple(self._rules):
            self._forget(directory)
        self._opened.close()

    def _forget(self, directory: bytes) -> None:
        with contextlib.suppress(OSError):  # the kernel removes it with the directory
            auditsocket.remove_rule(self._rules.pop(directory))


def _is_vague(writer: Writer) -> bool:
    """Whether there is a number that may lead to more."""
    return writer.number is not None and not (writer.executable and writer.command)


def why_not() -> str | None:
    """Return why the kernel's audit cannot tell this process who writes; None where it can."""
    if (deaf := why_deaf()) is not None:
        return deaf
    try:
        auditsocket.state()
    except OSError as err:
        return f"its rules cannot be changed: {err.strerror} (CAP_AUDIT_CONTROL)"
    return None
