"""Requests to one object store: several under way, and again where a failure may pass.

Replies are awaited in the order of their requests, each on a connection of its own, so that many
are under way without a thread. A process that was forked opens connections of its own.
"""

from __future__ import annotations

import os
import random
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from dataguard.errors import ConfigurationError, StoreUnreachableError
from dataguard.stores.objectconnection import BrokenError, Connection

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator

    from dataguard.stores.objectconnection import Reply
    from dataguard.stores.s3access import Peer

__all__ = ["Outgoing", "Pending", "Wire"]

_ATTEMPTS = 6
_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_PASSING = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses that another attempt may not have."""
_OTHER_NAMES = (62, 64)
"""What OpenSSL says of a certificate for another host or address (X509_V_ERR_..._MISMATCH)."""


class Outgoing:
    """A request: `make` returns its bytes, signed anew for each attempt."""

    __slots__ = ("bodiless", "make")

    def __init__(self, make: Callable[[], bytes], *, bodiless: bool = False) -> None:
        """`bodiless`: the reply has no body, whatever its headers say, as that to HEAD."""
        self.make = make
        self.bodiless = bodiless


class Pending(NamedTuple):
    """A request that was sent, on a connection of its own; None where that failed."""

    request: Outgoing
    connection: Connection | None

    def drop(self) -> None:
        """Give up the reply."""
        if self.connection is not None:
            self.connection.close()


class Wire:
    """Connections to one peer; several threads may use it, and processes forked meanwhile."""

    def __init__(self, peer: Peer, *, pause: Callable[[float], None] = time.sleep) -> None:
        """Connect to nothing yet; `pause` waits between attempts."""
        self._idle: list[Connection] = []
        weakref.finalize(self, _close_all, self._idle)
        self.peer = peer
        self._pause = pause
        self._process = os.getpid()
        self._tls: ssl.SSLContext | None = None
        if peer.secure:
            self._tls = _trusting(os.environ.get("AWS_CA_BUNDLE") or None)

    def ask(self, request: Outgoing, *, failed: int = 0) -> Reply:
        """Send a request until there is a reply that another attempt would not change.

        `failed` attempts were made before. The last reply of a server that cannot answer now is
        returned as it is.

        Raises:
            StoreUnreachableError: there is no connection, no HTTP, or nothing to trust the peer by.
        """
        reason: Exception | None = None
        for attempt in range(failed, _ATTEMPTS):
            if attempt:
                longest = min(_PAUSE_S * 2**attempt, _LONGEST_PAUSE_S)
                self._pause(longest * random.uniform(0.5, 1))  # noqa: S311  spreads retries
            try:
                reply = self._once(request)
            except (OSError, BrokenError) as err:
                self._check_trusted(err)
                reason = err
                continue
            if reply.status not in _PASSING or attempt == _ATTEMPTS - 1:
                return reply
            reply.close()
        raise StoreUnreachableError(
            f"{self.peer.url} does not answer: {reason or 'too many failures'}",
            hint="check the endpoint, the network and the server",
        ) from reason

    def ask_many(self, requests: Iterable[Outgoing], width: int) -> Iterator[Reply]:
        """Yield the reply to each request, in order, with so many of them under way.

        A reply is to be read, or closed, before the next one is asked for.

        Raises:
            StoreUnreachableError: as `ask`.
        """
        waiting: deque[Pending] = deque()
        try:
            for request in requests:
                waiting.append(self.begin(request))
                if len(waiting) >= width:
                    yield self.finish(waiting.popleft())
            while waiting:
                yield self.finish(waiting.popleft())
        finally:
            for one in waiting:
                one.drop()

    def begin(self, request: Outgoing) -> Pending:
        """Send a request; its reply is to be asked for with `finish`."""
        data, connection = request.make(), None
        try:
            connection = self._connection()
            connection.send(data)
        except OSError:
            if connection is not None:
                connection.close()
            return Pending(request, None)
        return Pending(request, connection)

    def finish(self, pending: Pending) -> Reply:
        """Return the reply to a request that was sent, as `ask` does.

        Raises:
            StoreUnreachableError: as `ask`.
        """
        request, connection = pending
        if connection is None:
            return self.ask(request)
        # A connection that the server closed meanwhile is no failure of the server.
        failed = 0 if connection.used else 1
        try:
            reply = connection.receive(self._give_back, bodiless=request.bodiless)
        except BrokenError:
            connection.close()
            return self.ask(request, failed=failed)
        if reply.status in _PASSING:
            reply.close()
            return self.ask(request, failed=1)
        return reply

    def close(self) -> None:
        """Close what is open."""
        _close_all(self._idle)

    def _once(self, request: Outgoing) -> Reply:
        connection = self._connection()
        stale = connection.used
        try:
            connection.send(request.make())
            return connection.receive(self._give_back, bodiless=request.bodiless)
        except (OSError, BrokenError):
            connection.close()
            if not stale:
                raise
        # The server had closed it; others may be as old.
        self.close()
        return self._once(request)

    def _check_trusted(self, err: Exception) -> None:
        """Give up where no other attempt will do better: what a peer shows is not trusted here.

        Raises:
            StoreUnreachableError: it is not.
        """
        if self._tls is None:
            return
        import ssl  # noqa: PLC0415  as below

        if isinstance(err, ssl.SSLCertVerificationError):
            named = "name the server in its URL as its certificate does"
            trusted = "name the file of its authority: export AWS_CA_BUNDLE=/path/ca.pem"
            raise StoreUnreachableError(
                f"{self.peer.url} is not trusted: {err.verify_message}",
                hint=named if err.verify_code in _OTHER_NAMES else trusted,
            ) from err

    def _connection(self) -> Connection:
        if self._process != os.getpid():  # forked: these are the parent's
            _close_all(self._idle)
            self._process = os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return Connection(self.peer, self._tls)

    def _give_back(self, connection: Connection) -> None:
        self._idle.append(connection)


def _trusting(authorities: str | None) -> ssl.SSLContext:
    """Return what TLS is spoken with; `authorities` is a file of those to trust, or None.

    Raises:
        ConfigurationError: there is no such file, or it holds no certificates.
    """
    import ssl  # noqa: PLC0415  costs as much as all else here together

    try:
        return ssl.create_default_context(cafile=authorities)
    except OSError as err:  # what ssl raises is one too
        raise ConfigurationError(
            f"cannot take certificates from {authorities}: {err.strerror or err}",
            hint="AWS_CA_BUNDLE names a file of certificates in PEM",
        ) from err


def _close_all(connections: list[Connection]) -> None:
    while True:
        try:
            connection = connections.pop()
        except IndexError:  # another thread may have had the last one
            return
        connection.close()
