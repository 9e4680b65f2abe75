"""Tells systemd how the service is, where it wants to know: sd_notify(3) without a library."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ServiceManager"]


class ServiceManager:
    """Sends states to the socket in NOTIFY_SOCKET; without one it does nothing."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        usec = environ.get("WATCHDOG_USEC", "")
        mine = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.interval_s = int(usec) / 2e6 if usec.isdigit() and mine else None
        """How often `alive` must be called; None where nobody waits for it."""

    def ready(self, words: str) -> None:
        """Say that the work has begun."""
        self._tell(f"READY=1\nSTATUS={words}")

    def alive(self, words: str) -> None:
        """Say that the work goes on."""
        self._tell(f"WATCHDOG=1\nSTATUS={words}")

    def status(self, words: str) -> None:
        """Say how the work is, apart from whether it goes on."""
        self._tell(f"STATUS={words}")

    def stopping(self) -> None:
        """Say that the end has begun."""
        self._tell("STOPPING=1")

    def _tell(self, state: str) -> None:
        if not self._address:
            return
        address = self._address
        if address.startswith("@"):
            address = "\0" + address[1:]
        # A manager that does not listen is no reason to stop watching.
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as opened,
        ):
            opened.settimeout(1.0)
            opened.sendto(state.encode(), address)
