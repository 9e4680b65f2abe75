"""Events of object stores that are pushed by HTTP: a small receiver on an address of this host."""

from __future__ import annotations

import hmac
import ipaddress
import queue
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar

from dataguard.core.objectevents import events_in
from dataguard.errors import ConflictError, UsageError

if TYPE_CHECKING:
    from dataguard.core.objectevents import ObjectEvent

__all__ = ["EventReceiver"]

_MOST_BYTES = 1 << 20
_MOST_WAITING = 10_000
_WAIT_S = 0.5
_SILENT_S = 10.0


class EventReceiver:
    """Takes what is posted to `HOST:PORT`.

    With a token a sender has to know it: as `Authorization: Bearer TOKEN`, or as the path. Who
    sends what is not true makes somebody look, and changes no finding.
    """

    def __init__(self, address: str, token: str) -> None:
        """Listen to nothing yet.

        Raises:
            UsageError: it is no address, or one that other hosts reach, and there is no token.
        """
        host, _, port = address.rpartition(":")
        host = host.strip("[]")
        if not host or not port.isdigit() or int(port) > 65535:  # noqa: PLR2004  the last port
            raise UsageError(f"`{address}` is no address", hint="--events listen:127.0.0.1:9400")
        if not token and not _is_loopback(host):
            raise UsageError(
                f"other hosts reach {address}, and nothing tells who may post there",
                hint="export DATAGUARD_EVENTS_TOKEN=..., and have the store send it",
            )
        self.name = f"the receiver on {address}"
        self._address = (host, int(port))
        self._token = token
        self._waiting: queue.Queue[tuple[ObjectEvent, ...]] = queue.Queue(_MOST_WAITING)
        self._server: ThreadingHTTPServer | None = None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._address[1] if self._server is None else self._server.server_port

    def open(self) -> None:
        """Listen from now on.

        Raises:
            ConflictError: the address cannot be listened on.
        """
        handler = type("_Handler", (_Handler,), {"token": self._token, "waiting": self._waiting})
        try:
            self._server = _Server(self._address, handler)
        except OSError as err:
            where = ":".join(map(str, self._address))
            raise ConflictError(
                f"cannot listen on {where}: {err.strerror}", hint=f"ss -ltnp | grep {where}"
            ) from err
        threading.Thread(target=self._server.serve_forever, args=(_WAIT_S,), daemon=True).start()

    def take(self) -> tuple[ObjectEvent, ...]:
        """Return the next events, after half a second at most."""
        try:
            return self._waiting.get(timeout=_WAIT_S)
        except queue.Empty:
            return ()

    def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


def _is_loopback(host: str) -> bool:
    """Whether no other host reaches it; a name may lead anywhere, whatever it begins with."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, handler)


class _Handler(BaseHTTPRequestHandler):
    timeout = _SILENT_S
    server_version = "dataguard"
    sys_version = ""
    token: ClassVar[str]
    waiting: ClassVar[queue.Queue[tuple[ObjectEvent, ...]]]

    def do_POST(self) -> None:  # named by the protocol of the base class
        """Take events."""
        self._answer(self._taken())

    def do_HEAD(self) -> None:  # as above
        """Say that somebody listens."""
        self._answer(200)

    def do_GET(self) -> None:  # as above
        """Say the same to whoever looks."""
        self._answer(200)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        """Write nothing: stderr is the watcher's."""

    def _taken(self) -> int:
        if not self._is_known():
            return 403
        length = self.headers.get("content-length", "")
        if not length.isdigit():
            return 411
        if int(length) > _MOST_BYTES:
            return 413
        try:
            self.waiting.put_nowait(events_in(self.rfile.read(int(length))))
        except ValueError:
            return 400
        except queue.Full:  # whoever sends tries again
            return 503
        return 200

    def _is_known(self) -> bool:
        said = (
            self.headers.get("authorization", "").removeprefix("Bearer "),
            self.path.strip("/"),
        )
        wanted = self.token.encode()
        return not wanted or any(hmac.compare_digest(wanted, one.encode()) for one in said)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()
