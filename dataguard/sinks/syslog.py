"""Alerts as datagrams for syslog, in the form of RFC 5424."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from dataguard.core.paths import escape
from dataguard.errors import StoreUnreachableError
from dataguard.model.finding import Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dataguard.model.alert import Alert, SinkSettings, WatchStatus

__all__ = ["PRIORITIES", "Syslog"]

PRIORITIES = {
    Severity.INFO: 6,
    Severity.WARNING: 4,
    Severity.ERROR: 3,
    Severity.CRITICAL: 2,
}
"""Severities of syslog(3)."""

_DAEMON = 3 << 3
_LONGEST = 2_000
"""Every receiver takes 2,048 bytes (RFC 5424, section 6.1)."""

_PORT = 514


class Syslog:
    """Sends to a socket (`/dev/log`), or to `host:port` by UDP, which tells of no loss."""

    def __init__(self, settings: SinkSettings) -> None:
        self.name = settings.name
        self._target = settings.target or "/dev/log"
        self._timeout_s = settings.timeout_s
        self._socket: socket.socket | None = None

    def send(self, alerts: Sequence[Alert]) -> None:
        """Send one datagram an alert.

        Raises:
            StoreUnreachableError: nobody takes them.
        """
        try:
            for alert in alerts:
                self._opened().send(_message(alert))
        except OSError as err:
            self.close()
            raise StoreUnreachableError(
                f"cannot send to syslog at {self._target}: {err.strerror or err}"
            ) from err

    def note(self, status: WatchStatus) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _opened(self) -> socket.socket:
        if self._socket is None:
            if self._target.startswith("/"):
                opened = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                address: str | tuple[str, int] = self._target
            else:
                host, _, port = self._target.rpartition(":")
                address = (host.strip("[]") or port, int(port) if host else _PORT)
                family = socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)[0][0]
                opened = socket.socket(family, socket.SOCK_DGRAM)
            try:
                opened.settimeout(self._timeout_s)
                opened.connect(address)
            except OSError:
                opened.close()
                raise
            self._socket = opened
        return self._socket


def _message(alert: Alert) -> bytes:
    host = os.uname().nodename or "-"
    time = alert.time.isoformat(timespec="microseconds")
    place = "" if alert.dataset is None else f"{alert.dataset}@{alert.version} "
    path = escape(alert.path.decode("utf-8", "surrogateescape"))
    text = f"{alert.code} {alert.severity} {place}{path}: {escape(alert.message)}"
    head = f"<{_DAEMON | PRIORITIES[alert.severity]}>1 {time} {host} dataguard {os.getpid()}"
    message = f"{head} {alert.code} - {text}".encode("utf-8", "backslashreplace")
    return message[:_LONGEST].decode("utf-8", "ignore").encode()  # no half character at its end
