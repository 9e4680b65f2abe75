"""Listens to the kernel's audit while a job runs, for what Landlock refuses it.

Which refusals are the job's is known by the process that put its rules in force, the shim. It has
itself refused something first: the kernel names the rules with the first refusal, and counts all
of them when the last process under these rules is gone. So what was lost is known exactly.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import threading
import time
from typing import TYPE_CHECKING

from dataguard.model.attempt import Observable, Observation, Source, Witness
from dataguard.model.confinement import Step
from dataguard.model.dataclass import dataclass
from dataguard.sandbox import auditsocket
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

_AUDIT_READ = 37
_FIRST_PROCESSES = "pid:[4026531836]"
_PATIENCE_S = 5.0
_MASKED = (
    "what a read-only mount refuses nobody sees: of gold only attempts to mount over it are told"
)
_NOT_REFUSED = "changes of modes, owners, times and attributes are not refused, and not seen"
_SILENT = "the kernel told nothing of the job's rules: a filter of audit, or another namespace"


class Listener:
    """A thread that reads records until it is closed."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._refusals = Refusals()
        self._change = threading.Condition()
        self._end = os.eventfd(0, os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._listen, name="audit", daemon=True)

    def start(self) -> None:
        """Begin; signals stay with the thread that waits for the job."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._thread.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def close(self) -> None:
        """End the thread."""
        os.eventfd_write(self._end, 1)
        self._thread.join()
        os.close(self._end)
        self._channel.close()

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

    def _listen(self) -> None:
        ready = select.poll()
        ready.register(self._channel, select.POLLIN)
        ready.register(self._end, select.POLLIN)
        while True:
            if any(number == self._end for number, _ in ready.poll()):
                return
            try:
                kind, record = auditsocket.receive(self._channel)
            except OSError as err:
                if err.errno == errno.ENOBUFS:  # records were lost: the kernel's count tells
                    continue
                return
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
    if not _may_listen():
        return "only root may read the kernel's audit (CAP_AUDIT_READ)"
    if os.readlink("/proc/self/ns/pid") != _FIRST_PROCESSES:
        return "the kernel's audit numbers processes otherwise than this container"
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


def _may_listen() -> bool:
    with open("/proc/self/status", "rb") as lines:
        words = next((line.split() for line in lines if line.startswith(b"CapEff:")), [b"", b"0"])
    return bool(int(words[1], 16) >> _AUDIT_READ & 1)


def _nothing(reason: str) -> Observation:
    return Observation(Source(SOURCE, Observable.NO, reason))
