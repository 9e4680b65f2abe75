"""A forwarder before an object server: it keeps what was asked for and can spoil the answers.

Requests pass byte for byte, `Host` included: signatures cover it, and both servers of the tests
check them against the name that the client used. Paths are `/bucket/key`.

    with counting_proxy(server.endpoint) as proxy:
        proxy.spoil(Flip(at=100), key=b"train/1")
        ...
        assert 0 == proxy.data_bytes()
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qsl, unquote_to_bytes, urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

__all__ = [
    "Before",
    "Busy",
    "CountingProxy",
    "Cut",
    "Drop",
    "Flip",
    "Garble",
    "Hide",
    "Lose",
    "Reply",
    "Request",
    "Seen",
    "Tell",
    "counting_proxy",
    "proxies",
]

_CHUNK = 1 << 16

# What else a GET of a key can ask for; everything without one of these is the object's bytes.
_ABOUT_OBJECTS = {"acl", "attributes", "legal-hold", "retention", "tagging", "torrent", "uploadId"}


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asked for. `key` is empty for requests about the bucket; both are decoded."""

    method: str
    bucket: str
    key: bytes
    query: dict[str, str]
    headers: dict[str, str]
    """Names in lower case."""
    size: int
    """Bytes of its body, as they were sent."""

    @property
    def reads_data(self) -> bool:
        """Whether it asks for bytes of an object."""
        return self.method == "GET" and bool(self.key) and not _ABOUT_OBJECTS & set(self.query)


@dataclass(frozen=True, slots=True)
class Seen:
    """A request with its answer; `sent` counts the bytes of the body that the client was sent.

    Status 0: there was no answer.
    """

    request: Request
    status: int
    sent: int


class Fault(Protocol):
    """What goes wrong with one request."""

    def act(self, exchange: _Exchange, request: Request) -> None:
        """Answer the request, or raise _HungUp."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Promise the whole body, send `after` bytes of it, and hang up."""

    after: int

    def act(self, exchange: _Exchange, request: Request) -> None:
        exchange.forward(request, cut=self.after)


@dataclass(frozen=True, slots=True)
class Flip:
    """Change one byte of the body on its way."""

    at: int

    def act(self, exchange: _Exchange, request: Request) -> None:
        exchange.forward(request, flip=self.at)


@dataclass(frozen=True, slots=True)
class Garble:
    """Change one byte of what a client sends."""

    at: int

    def act(self, exchange: _Exchange, request: Request) -> None:
        body = bytearray(exchange.body)
        body[self.at] ^= 1
        exchange.body = bytes(body)
        exchange.forward(request)


@dataclass(frozen=True, slots=True)
class Lose:
    """Let the server do it, and hang up instead of answering."""

    def act(self, exchange: _Exchange, request: Request) -> None:
        exchange.forward(request, lose=True)


@dataclass(frozen=True, slots=True)
class Hide:
    """Leave a header out of the answer, as some proxies do; its name in lower case."""

    header: bytes

    def act(self, exchange: _Exchange, request: Request) -> None:
        exchange.forward(request, hide=self.header)


@dataclass(frozen=True, slots=True)
class Tell:
    """Say more in the head of the answer than the server does, by what was asked for."""

    headers: Callable[[Request], tuple[tuple[str, str], ...]]

    def act(self, exchange: _Exchange, request: Request) -> None:
        exchange.forward(request, more=self.headers(request))


@dataclass(frozen=True, slots=True)
class Drop:
    """Hang up without an answer; the server never hears of it."""

    def act(self, exchange: _Exchange, request: Request) -> None:
        exchange.hang_up(request)


@dataclass(frozen=True, slots=True)
class Before:
    """Do something first, such as change the object or wait; then forward it as it is."""

    action: Callable[[], object]

    def act(self, exchange: _Exchange, request: Request) -> None:
        self.action()
        exchange.forward(request)


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer in the server's place, which never hears of it."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    def act(self, exchange: _Exchange, request: Request) -> None:
        exchange.reply(request, self.status, self.body, self.headers)


@dataclass(frozen=True, slots=True)
class Busy:
    """Ask for patience, as stores do that get too many requests."""

    code: str = "SlowDown"

    def act(self, exchange: _Exchange, request: Request) -> None:
        body = f"<Error><Code>{self.code}</Code><Message>reduce your rate</Message></Error>"
        exchange.reply(request, 503, body.encode(), (("Content-Type", "application/xml"),))


@dataclass(slots=True)
class _Rule:
    fault: Fault
    matches: Callable[[Request], bool]
    left: int


@dataclass(slots=True)
class CountingProxy:
    """Forwards to `upstream` and listens at `endpoint`."""

    endpoint: str
    upstream: tuple[str, int]
    _seen: list[Seen] = field(default_factory=list)
    _rules: list[_Rule] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def seen(self) -> tuple[Seen, ...]:
        """Everything that was answered so far."""
        with self._lock:
            return tuple(self._seen)

    def forget(self) -> None:
        """Begin to count anew; faults stay as they are."""
        with self._lock:
            self._seen.clear()

    def spoil(
        self,
        fault: Fault,
        *,
        method: str = "GET",
        key: bytes | None = None,
        query: str | None = None,
        skip: int = 0,
        times: int = 1,
    ) -> None:
        """Let the next `times` requests meet a fault, after `skip` that pass.

        Only those of this method, for this key and with this word in the query; None is any.
        Without key and query: only reads of objects' bytes, for GET.
        """

        def matches(request: Request) -> bool:
            if key is None and query is None and method == "GET" and not request.reads_data:
                return False
            return (
                method == request.method
                and key in {None, request.key}
                and (query is None or query in request.query)
            )

        with self._lock:
            if skip:
                self._rules.append(_Rule(Before(lambda: None), matches, skip))
            self._rules.append(_Rule(fault, matches, times))

    def asked(self, method: str, query: str = "") -> tuple[Seen, ...]:
        """Requests of this method, with this word in the query unless it is empty."""
        return tuple(
            seen
            for seen in self.seen
            if seen.request.method == method and (not query or query in seen.request.query)
        )

    def reads(self) -> tuple[Seen, ...]:
        """Requests for bytes of objects."""
        return tuple(seen for seen in self.seen if seen.request.reads_data)

    def data_bytes(self) -> int:
        """Bytes of objects that clients were sent."""
        return sum(seen.sent for seen in self.reads() if seen.status in {200, 206})

    def _fault(self, request: Request) -> Fault | None:
        with self._lock:
            for rule in self._rules:
                if rule.left and rule.matches(request):
                    rule.left -= 1
                    return rule.fault
        return None

    def _note(self, seen: Seen) -> None:
        with self._lock:
            self._seen.append(seen)


@contextlib.contextmanager
def counting_proxy(endpoint: str) -> Iterator[CountingProxy]:
    """Forward to `endpoint` until the block ends; open connections end with it."""
    target = urlsplit(endpoint)
    assert target.hostname is not None
    assert target.port is not None
    with _Listener(("127.0.0.1", 0), _Exchange) as listener:
        host, port = listener.server_address[:2]
        listener.proxy = CountingProxy(f"http://{host}:{port}", (target.hostname, target.port))
        thread = threading.Thread(target=listener.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield listener.proxy
        finally:
            listener.shutdown()
            listener.hang_up()
            thread.join()


@pytest.fixture
def proxies() -> Iterator[Callable[[str], CountingProxy]]:
    """Put forwarders before endpoints: `proxies(server.endpoint)`; they end with the test."""
    with contextlib.ExitStack() as undo:
        yield lambda endpoint: undo.enter_context(counting_proxy(endpoint))


# --- one connection -----------------------------------------------------------------------------


class _HungUp(Exception):  # noqa: N818 - a way to end a connection, no error
    """The connection ends here."""


class _Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 128
    proxy: CountingProxy

    def __init__(self, *arguments: object) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*arguments)  # type: ignore[arg-type]

    def hang_up(self) -> None:
        for connection in tuple(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request, client_address):  # type: ignore[no-untyped-def]
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):  # type: ignore[no-untyped-def]
        self._open.discard(request)
        super().shutdown_request(request)


class _Exchange(socketserver.StreamRequestHandler):
    """A client's connection, with one of its own to the server."""

    server: _Listener
    disable_nagle_algorithm = True
    wbufsize = _CHUNK

    def handle(self) -> None:
        with (
            contextlib.suppress(_HungUp, ConnectionError, TimeoutError),
            socket.create_connection(self.server.proxy.upstream) as upstream,
        ):
            upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.upstream = upstream
            with upstream.makefile("rb") as self.answers:
                while self._one():
                    self.wfile.flush()

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()

    def _one(self) -> bool:
        head = _head(self.rfile)
        if not head:
            return False
        fields = _fields(head)
        if fields.get("expect", "").lower() == "100-continue":
            self.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.head = b"".join(
            line for line in head if not line.lower().startswith(b"expect:")
        )  # signatures leave `Expect` out
        self.body = b"".join(_body(self.rfile, fields))
        request = _request(head[0], fields, len(self.body))
        fault = self.server.proxy._fault(request)
        if fault is None:
            self.forward(request)
        else:
            fault.act(self, request)
        return fields.get("connection", "").lower() != "close"

    def forward(
        self,
        request: Request,
        *,
        cut: int | None = None,
        flip: int | None = None,
        hide: bytes | None = None,
        lose: bool = False,
        more: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """Hand a request on and its answer back."""
        self.upstream.sendall(self.head + self.body)
        head = _head(self.answers)
        while head and head[0].split()[1] == b"100":
            head = _head(self.answers)
        if not head:
            raise _HungUp
        if lose:
            self.hang_up(request)
        if hide is not None:
            head = [line for line in head if not line.lower().startswith(hide + b":")]
        said = [f"{name}: {value}\r\n".encode() for name, value in more]
        self.wfile.write(b"".join([*head[:-1], *said, head[-1]]))
        status, fields = int(head[0].split()[1]), _fields(head)
        sent = 0
        try:
            if request.method != "HEAD" and status not in {204, 304}:
                for piece in _body(self.answers, fields, framed=True):
                    sent += self._hand_back(piece, sent, cut, flip)
        finally:
            self.server.proxy._note(Seen(request, status, sent))
        if fields.get("connection", "").lower() == "close":
            raise _HungUp

    def _hand_back(self, piece: bytes, sent: int, cut: int | None, flip: int | None) -> int:
        if flip is not None and sent <= flip < sent + len(piece):
            at = flip - sent
            piece = piece[:at] + bytes([piece[at] ^ 1]) + piece[at + 1 :]
        if cut is not None and cut < sent + len(piece):
            self.wfile.write(piece[: cut - sent])
            self.wfile.flush()
            raise _HungUp
        self.wfile.write(piece)
        return len(piece)

    def hang_up(self, request: Request) -> None:
        """End the connection without an answer."""
        self.server.proxy._note(Seen(request, 0, 0))
        raise _HungUp

    def reply(
        self, request: Request, status: int, body: bytes, headers: tuple[tuple[str, str], ...]
    ) -> None:
        """Answer without the server."""
        lines = [f"HTTP/1.1 {status} Reply", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers]
        self.wfile.write("\r\n".join(lines).encode() + b"\r\n\r\n")
        if request.method != "HEAD":
            self.wfile.write(body)
        self.server.proxy._note(Seen(request, status, len(body)))


def _head(stream: BinaryIO) -> list[bytes]:
    """The lines of a head, its end included; empty where the connection has ended."""
    lines: list[bytes] = []
    while True:
        line = stream.readline(_CHUNK)
        if not line:
            return []
        lines.append(line)
        if line in {b"\r\n", b"\n"}:
            return lines


def _fields(head: list[bytes]) -> dict[str, str]:
    pairs = (line.decode("latin-1").partition(":") for line in head[1:-1])
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _request(line: bytes, fields: dict[str, str], size: int) -> Request:
    method, target, _ = line.decode("latin-1").split(" ", 2)
    path, _, query = target.partition("?")
    bucket, _, key = path.removeprefix("/").partition("/")
    pairs = dict(parse_qsl(query, keep_blank_values=True))
    return Request(method, bucket, unquote_to_bytes(key), pairs, fields, size)


def _body(stream: BinaryIO, fields: dict[str, str], *, framed: bool = False) -> Iterator[bytes]:
    """Pieces of a body as it is on the wire: chunks keep their frames.

    `framed` says that a body without any length goes on until the connection ends.
    """
    if fields.get("transfer-encoding", "").lower() == "chunked":
        yield from _chunks(stream)
        return
    length = fields.get("content-length")
    if length is None:
        while framed and (piece := stream.read(_CHUNK)):
            yield piece
        return
    left = int(length)
    while left:
        piece = stream.read(min(left, _CHUNK))
        if not piece:
            raise _HungUp
        left -= len(piece)
        yield piece


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    while True:
        size = stream.readline()
        length = int(size.split(b";")[0], 16)
        if not length:
            yield size + b"".join(_head(stream))
            return
        yield size + stream.read(length) + stream.readline()
