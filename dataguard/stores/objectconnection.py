"""One connection to an object store: HTTP/1.1, as little of it as such a server speaks.

A general library needs five times the processor time for a reply, most of it for headers.
"""

from __future__ import annotations

import re
import socket
from contextlib import closing
from typing import IO, TYPE_CHECKING, cast

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from dataguard.stores.s3access import Peer

__all__ = ["BrokenError", "Connection", "Reply"]

_CONNECT_S = 5.0
_READ_S = 60.0
_PIECE = 1 << 20
_BUFFER = 1 << 16
_LINE_MAX = 1 << 16
_HEADERS_MAX = 1000
_NO_CONTENT = frozenset({204, 304})
_FINAL = 200
_HEXADECIMAL = re.compile(rb"[0-9a-fA-F]{1,15}")


class BrokenError(Exception):
    """A connection failed, or its peer speaks no HTTP: another attempt may do better."""


class Connection:
    """One connection, on which one request at a time is under way."""

    def __init__(self, peer: Peer, tls: ssl.SSLContext | None) -> None:
        opened = socket.create_connection((peer.host, peer.port), _CONNECT_S)
        try:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls is not None:
                opened = tls.wrap_socket(opened, server_hostname=peer.host)
        except BaseException:
            opened.close()
            raise
        opened.settimeout(_READ_S)
        self._socket = opened
        self._file = cast("IO[bytes]", opened.makefile("rb", _BUFFER))
        self.used = False

    def send(self, data: bytes) -> None:
        """Send a request.

        Raises:
            OSError: the connection is gone.
        """
        self._socket.sendall(data)

    def receive(self, done: Callable[[Connection], None], *, bodiless: bool) -> Reply:
        """Return the reply to the oldest request; `done` is called when its body was read.

        Raises:
            BrokenError: there is none, or it is no HTTP.
        """
        try:
            status, headers = self._head()
            while status < _FINAL:  # `100 Continue`
                status, headers = self._head()
            length = headers.get("content-length")
            left = None if length is None else int(length)
        except (OSError, ValueError, IndexError) as err:
            raise BrokenError(str(err) or type(err).__name__) from err
        self.used = True
        if bodiless or status in _NO_CONTENT:
            left = 0
        chunked = left != 0 and headers.get("transfer-encoding", "").lower() == "chunked"
        reply = Reply((status, headers), self, self._file, left, done)
        reply.chunked = chunked
        if left == 0:
            reply.finish()
        return reply

    def close(self) -> None:
        """Close it."""
        self._file.close()
        self._socket.close()

    def _head(self) -> tuple[int, dict[str, str]]:
        first = _line(self._file)
        if not first.startswith(b"HTTP/1."):
            raise ValueError("the peer speaks no HTTP/1")
        status = int(first.split(None, 2)[1])
        headers = {}
        while line := _line(self._file):
            name, _, value = line.partition(b":")
            headers[name.decode("latin-1").lower()] = value.strip().decode("latin-1")
            if len(headers) > _HEADERS_MAX:
                raise ValueError("too many headers")
        return status, headers


class Reply:
    """A reply whose body is still to be read; names of headers are lower case."""

    __slots__ = ("_connection", "_done", "_file", "_left", "chunked", "headers", "status")

    def __init__(
        self,
        head: tuple[int, dict[str, str]],
        connection: Connection,
        file: IO[bytes],
        left: int | None,
        done: Callable[[Connection], None],
    ) -> None:
        """`left` bytes of a body follow; None: it goes on to the end of the connection."""
        self.status, self.headers = head
        self.chunked = False
        self._connection: Connection | None = connection
        self._file = file
        self._left = left
        self._done = done

    def pieces(self) -> Iterator[bytes]:
        """Yield the body.

        Raises:
            BrokenError: it ends too early.
        """
        try:
            yield from self._chunks() if self.chunked else self._plain()
        except (OSError, ValueError) as err:
            raise BrokenError(str(err) or type(err).__name__) from err
        finally:
            self.close()

    def whole(self, most: int | None = None) -> bytes:
        """Return the body, of at most so many bytes.

        Raises:
            BrokenError: it ends too early, or goes on and on.
        """
        if self.chunked or self._left is None or self._left > _PIECE:
            return self._joined(most)
        wanted, self._left = self._left, 0
        if not wanted:
            self.finish()
            return b""
        try:
            data = self._file.read(wanted)
        except OSError as err:
            self.close()
            raise BrokenError(str(err) or type(err).__name__) from err
        if len(data) != wanted:
            self.close()
            raise BrokenError(f"{len(data)} of {wanted} bytes came")
        self.finish()
        return data

    def _joined(self, most: int | None) -> bytes:
        found, held = [], 0
        with closing(self):
            for piece in self.pieces():
                found.append(piece)
                held += len(piece)
                if most is not None and held > most:
                    raise BrokenError(f"a reply of more than {most} bytes")
        return b"".join(found)

    def finish(self) -> None:
        """Give the connection back: nothing of the reply is left on it."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self.headers.get("connection", "").lower() == "close":
            connection.close()
        else:
            self._done(connection)

    def close(self) -> None:
        """Give up what was not read, and the connection with it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _plain(self) -> Iterator[bytes]:
        while self._left is None or self._left:
            wanted = _PIECE if self._left is None else min(_PIECE, self._left)
            data = self._file.read(wanted)
            if self._left is not None:
                if len(data) != wanted:
                    raise ValueError(f"the body ends {self._left - len(data)} bytes early")
                self._left -= wanted
            elif not data:
                return  # only the end of the connection says that this is all
            if self._left == 0:
                self.finish()
            yield data

    def _chunks(self) -> Iterator[bytes]:
        while size := _chunk_size(_line(self._file)):
            while size:
                data = self._file.read(min(size, _PIECE))
                if not data:
                    raise ValueError("the body ends early")
                size -= len(data)
                yield data
            if self._file.read(2) != b"\r\n":
                raise ValueError("the body ends early")
        while _line(self._file):
            pass
        self._left, self.chunked = 0, False
        self.finish()


def _chunk_size(line: bytes) -> int:
    size = line.split(b";")[0].strip()
    if not _HEXADECIMAL.fullmatch(size):
        raise ValueError("a chunk without a size")
    return int(size, 16)


def _line(file: IO[bytes]) -> bytes:
    line = file.readline(_LINE_MAX)
    if not line.endswith(b"\n"):
        raise ValueError("the connection ended")
    return line.rstrip(b"\r\n")
