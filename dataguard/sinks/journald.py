"""Alerts for the systemd journal, by its native protocol."""

from __future__ import annotations

import json
import os
import socket
import struct
from typing import TYPE_CHECKING

from dataguard.core.paths import escape
from dataguard.errors import StoreUnreachableError
from dataguard.sinks.syslog import PRIORITIES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dataguard.model.alert import Alert, SinkSettings, WatchStatus

__all__ = ["Journald"]

_SOCKET = "/run/systemd/journal/socket"


class Journald:
    """Sends one datagram an alert, with fields `DATAGUARD_*` beside the message.

    See <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>. An alert is far smaller than a datagram may
    be: it has three examples, whatever its count.
    """

    def __init__(self, settings: SinkSettings) -> None:
        self.name = settings.name
        self._target = settings.target or _SOCKET
        self._timeout_s = settings.timeout_s

    def send(self, alerts: Sequence[Alert]) -> None:
        """Send the alerts.

        Raises:
            StoreUnreachableError: the journal does not take them.
        """
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as opened:
                opened.settimeout(self._timeout_s)
                opened.connect(self._target)
                for alert in alerts:
                    opened.send(b"".join(_fields(alert)))
        except OSError as err:
            raise StoreUnreachableError(
                f"cannot send to the journal at {self._target}: {err.strerror or err}"
            ) from err

    def note(self, status: WatchStatus) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing: no socket is open in between."""


def _fields(alert: Alert) -> Iterator[bytes]:
    place = "" if alert.dataset is None else f"{alert.dataset}@{alert.version} "
    path = escape(alert.path.decode("utf-8", "surrogateescape"))
    values = {
        "MESSAGE": f"{alert.code} {alert.severity} {place}{path}: {escape(alert.message)}",
        "PRIORITY": str(PRIORITIES[alert.severity]),
        "SYSLOG_IDENTIFIER": "dataguard",
        "SYSLOG_PID": str(os.getpid()),
        "DATAGUARD_ALERT": alert.id,
        "DATAGUARD_CODE": alert.code,
        "DATAGUARD_DATASET": alert.dataset or "",
        "DATAGUARD_VERSION": "" if alert.version is None else str(alert.version),
        "DATAGUARD_COUNT": str(alert.count),
        "DATAGUARD_JSON": json.dumps(alert.data),
    }
    for name, value in values.items():
        data = value.encode("utf-8", "backslashreplace")
        yield name.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n"
    yield b"DATAGUARD_PATH\n" + struct.pack("<Q", len(alert.path)) + alert.path + b"\n"
