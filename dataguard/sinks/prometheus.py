"""The watcher's metrics: as a file for the node exporter, or for whoever asks on loopback."""

from __future__ import annotations

import contextlib
import http.server
import os
import socket
import threading
from typing import TYPE_CHECKING

from dataguard.core.metrics import metrics_text
from dataguard.errors import StoreUnreachableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dataguard.model.alert import Alert, SinkSettings, WatchStatus

__all__ = ["Prometheus"]

_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Prometheus:
    """Writes a file ending in `.prom` as a whole, or serves `/metrics` at `127.0.0.1:PORT`.

    Alerts are counted by the findings that they are made of; `send` has nothing to do.
    """

    def __init__(self, settings: SinkSettings) -> None:
        self.name = settings.name
        self._target = settings.target
        self._text = b""
        self._server: http.server.ThreadingHTTPServer | None = None

    def send(self, alerts: Sequence[Alert]) -> None:
        """Do nothing."""

    def note(self, status: WatchStatus) -> None:
        """Write the metrics, or keep them for whoever asks.

        Raises:
            StoreUnreachableError: the file cannot be written, or the port is taken.
        """
        self._text = metrics_text(status).encode()
        try:
            if self._target.startswith("/"):
                _replace(self._target, self._text)
            elif self._server is None:
                self._server = self._served()
        except OSError as err:
            raise StoreUnreachableError(
                f"cannot give metrics at {self._target}: {err.strerror}"
            ) from err

    def close(self) -> None:
        """Stop serving; a file stays, and says when it was written."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _served(self) -> http.server.ThreadingHTTPServer:
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                known = self.path == "/metrics"
                text = sink._text if known else b"see /metrics\n"
                self.send_response(200 if known else 404)
                self.send_header("Content-Type", _TYPE)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                """Say nothing of each scrape."""

        host, _, port = self._target.rpartition(":")

        class Server(http.server.ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

        server = Server((host.strip("[]"), int(port)), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
        return server


def _replace(path: str, text: bytes) -> None:
    partial = f"{path}.{os.getpid()}.partial"  # the exporter reads names that end in .prom
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with contextlib.suppress(FileNotFoundError):  # of a watcher with this number, or a trap
            os.unlink(partial)
        with open(os.open(partial, flags, 0o644), "wb") as file:
            file.write(text)
        os.replace(partial, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise
