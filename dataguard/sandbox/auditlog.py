"""Listens to the kernel's audit while a job runs, for what Landlock refuses it.

Which refusals are the job's is known by the process that put its rules in force, the shim. It has
itself refused something first: the kernel names the rules with the first refusal, and counts all
of them when the last process under these rules is gone. So what was lost is known exactly.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataguard.model.attempt import Observable, Observation, Source, Witness
from dataguard.model.confinement import Step
from dataguard.sandbox import auditsocket
from dataguard.sandbox.auditreader import AuditReader, why_deaf
from dataguard.sandbox.auditrecords import Refusals
from dataguard.sandbox.auditswitch import switched_on
from dataguard.sandbox.shim.ruleset import WITH_LOG, version

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from dataguard.model.confinement import Confinement
    from dataguard.sandbox.auditrecords import Domain

__all__ = ["SOURCE", "Listener", "Lookout", "observing"]

SOURCE = "landlock"

_PATIENCE_S = 5.0
_MASKED = (
    "what a read-only mount refuses nobody sees: of gold only attempts to mount over it are told"
)
_NOT_REFUSED = "changes of modes, owners, times and attributes are not refused, and not seen"
_SILENT = "the kernel told nothing of the job's rules: a filter of audit, or another namespace"


class Listener:
    """What is refused to jobs, read in a thread until it is closed."""

    def __init__(self, channel: socket.socket) -> None:
        self._refusals = Refusals()
        self._change = threading.Condition()
        self._reader = AuditReader(channel, self._take)  # what is lost the kernel's count tells

    def start(self) -> None:
        """Begin; signals stay with the thread that waits for the job."""
        self._reader.start()

    def close(self) -> None:
        """End the thread."""
        self._reader.close()

    def expect(self, process: int) -> None:
        """Forget, now and from now on, what the rules of others refuse."""
        with self._change:
            self._refusals.expect(process)

    def told(self, process: int) -> Domain | None:
        """Return what was refused to a job that has ended; waits for the kernel's last word."""
        deadline = time.monotonic() + _PATIENCE_S
        with self._change:
            while (domain := self._refusals.of(process)) is None or domain.total is None:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._change.wait(left)
            return domain

    def _take(self, kind: int, record: bytes) -> None:
        with self._change:
            self._refusals.add(kind, record)
            self._change.notify_all()


@dataclass(frozen=True, slots=True)
class Lookout:
    """A listener, or the reason why there is none."""

    listener: Listener | None
    reason: str = ""

    def expect(self, process: int) -> None:
        """Look only for what the rules of this process refuse."""
        if self.listener is not None:
            self.listener.expect(process)

    def observation(self, confinement: Confinement, process: int | None) -> Observation:
        """Return what was refused to a job that has ended, and how much of it could be seen."""
        if not confinement.holds(SOURCE):
            return _nothing("Landlock, whose refusals the kernel tells, does not confine the job")
        if self.listener is None or process is None:
            return _nothing(self.reason)
        domain = self.listener.told(process)
        if domain is None:
            return _nothing(_SILENT)
        masked = confinement.step is not Step.LANDLOCK
        source = Source(
            SOURCE,
            observable=Observable.PARTLY if masked else Observable.YES,
            reason=_MASKED if masked else _NOT_REFUSED,
            seen=max(domain.seen - 1, 0),
            lost=None if domain.total is None else max(domain.total - domain.seen, 0),
        )
        return Observation(source, tuple(domain.refused.values()))


@contextlib.contextmanager
def observing(witness: Witness) -> Iterator[Lookout]:
    """Listen meanwhile where this host lets this process; with `AUDIT` auditing is switched on."""
    with contextlib.ExitStack() as stack:
        reason = _why_not(witness) or _switched(stack, witness)
        if reason is None:
            try:
                listener = Listener(auditsocket.listening())
            except OSError as err:
                reason = f"audit records cannot be read: {err.strerror}"
            else:
                listener.start()
                stack.callback(listener.close)
                yield Lookout(listener)
                return
        yield Lookout(None, reason)


def _switched(stack: contextlib.ExitStack, witness: Witness) -> str | None:
    if witness is not Witness.AUDIT:
        return None
    try:
        stack.enter_context(switched_on())
    except OSError as err:
        return f"auditing cannot be switched on: {err.strerror}"
    return None


def _why_not(witness: Witness) -> str | None:
    """Return why the refusals of this process's jobs cannot be heard; None where they may be."""
    if (deaf := why_deaf()) is not None:
        return deaf
    try:
        return _why_silent(witness)
    except PermissionError:
        return None  # no CAP_AUDIT_CONTROL: what is heard will tell
    except OSError as err:
        return f"this kernel has no audit of Landlock: {err.strerror}"


def _why_silent(witness: Witness) -> str | None:
    if version() < WITH_LOG:
        return f"Landlock {version()} tells nobody what it refuses (Linux 6.15)"
    if witness is Witness.HOST and not auditsocket.state().enabled:
        return "audit is off"
    return None


def _nothing(reason: str) -> Observation:
    return Observation(Source(SOURCE, Observable.NO, reason))
