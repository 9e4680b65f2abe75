"""A thread that reads the kernel's audit, and why this process may not."""

from __future__ import annotations

import errno
import os
import select
import signal
import threading
from typing import TYPE_CHECKING

from dataguard.sandbox import auditsocket

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

__all__ = ["AuditReader", "why_deaf"]

_AUDIT_READ = 37
_FIRST_PROCESSES = "pid:[4026531836]"


class AuditReader:
    """Gives every record to `take` until it is closed; `lost` is called where some did not come."""

    def __init__(
        self,
        channel: socket.socket,
        take: Callable[[int, bytes], None],
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        self._channel = channel
        self._take = take
        self._lost = lost
        self._end = os.eventfd(0, os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._read, name="audit", daemon=True)

    def start(self) -> None:
        """Begin; signals stay with the thread that waits for them."""
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

    def _read(self) -> None:
        ready = select.poll()
        ready.register(self._channel, select.POLLIN)
        ready.register(self._end, select.POLLIN)
        while True:
            if any(number == self._end for number, _ in ready.poll()):
                return
            try:
                kind, record = auditsocket.receive(self._channel)
            except OSError as err:
                if err.errno == errno.ENOBUFS:
                    self._lost()
                    continue
                return
            self._take(kind, record)


def why_deaf() -> str | None:
    """Return why this process cannot hear the kernel's audit, or not understand it; else None."""
    if not _may_listen():
        return "only root may read the kernel's audit (CAP_AUDIT_READ)"
    if os.readlink("/proc/self/ns/pid") != _FIRST_PROCESSES:
        return "the kernel's audit numbers processes otherwise than this container"
    return None


def _may_listen() -> bool:
    with open("/proc/self/status", "rb") as lines:
        words = next((line.split() for line in lines if line.startswith(b"CapEff:")), [b"", b"0"])
    return bool(int(words[1], 16) >> _AUDIT_READ & 1)
