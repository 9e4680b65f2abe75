"""Reading pinned objects of a bucket: by version where it has them, else while the etag stays.

What is replaced while it is read is an error, or read as it was; never a mixture.
"""

from __future__ import annotations

import errno
import threading
import weakref
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, cast

from dataguard.errors import ConflictError, DeniedError, NotFoundError, StoreUnreachableError
from dataguard.model.objects import Pin
from dataguard.stores.hashing import digester
from dataguard.stores.pinnedsource import ChangedGoldError, Checked

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from dataguard.model.digest import Algorithm
    from dataguard.model.pinned import PinnedEntry
    from dataguard.stores.objectclient import ObjectClient
    from dataguard.stores.objectconnection import Reply
    from dataguard.stores.pinnedsource import Part, PinnedSource

__all__ = ["ObjectReplica"]

_FIRST, _MOST = 1 << 20, 16 << 20
"""Bytes asked for at once: more from time to time where a file is read on and on."""


_UNDER_WAY = 8
_OK = range(200, 300)


class ObjectReplica:
    """The objects below a prefix that should hold a version.

    `connect` makes a client; each thread has its own. `doubted`: nothing is given that was not
    hashed by this process. So it is with what has neither version nor etag.
    """

    def __init__(
        self,
        place: str,
        prefix: bytes,
        algorithm: Algorithm,
        connect: Callable[[], ObjectClient],
        *,
        doubted: bool,
    ) -> None:
        self.place = place
        self._prefix, self._algorithm, self._doubted = prefix, algorithm, doubted
        self._digest, self._connect = digester(algorithm), connect
        self._clients = threading.local()

    def read(self, entry: PinnedEntry, *, verify: bool) -> bytes:
        """Return the whole content of an object.

        Raises:
            ChangedGoldError: it is not what is pinned, or not there any more.
            OSError: it cannot be read.
        """
        data = self._object(entry).read(0, entry.size)
        if (verify or self._is_doubted(entry)) and self._digest(data) != entry.digest:
            where = f"{self.place}: {entry.path!r}"
            raise ChangedGoldError.at(where, "its content is not what the version pins")
        return data

    def open(self, entry: PinnedEntry, *, verify: bool) -> PinnedSource:
        """Open an object; nothing is asked of the server yet, unless it has to be hashed first.

        Raises:
            ChangedGoldError, OSError: as `read`.
        """
        found = self._object(entry)
        if self._is_doubted(entry):
            checked = Checked(found, self._algorithm, entry.digest)
            checked.read_all()
            return checked
        return Checked(found, self._algorithm, entry.digest) if verify else found

    def read_parts(self, parts: Sequence[Part]) -> Generator[bytes | OSError]:
        """Yield parts of its open objects, or errors, in order; a few are asked for at a time."""
        client = self._client()
        ranges = [(cast("_Object", one.source), one.start, one.length) for one in parts]
        replies = client.ask_many(
            (client.reading(one.pin, at, at + length) for one, at, length in ranges if length),
            _UNDER_WAY,
        )
        with closing(replies):  # also where nobody wants the rest
            for number, (one, start, length) in enumerate(ranges):
                try:
                    with _as_file_errors(one.place):
                        reply = next(replies) if length else None
                except OSError as err:  # no server, and no replies any more
                    yield from [err] * (len(ranges) - number)
                    return
                try:
                    yield one.read(start, 0) if reply is None else one.taken(reply, start, length)
                except OSError as err:
                    yield err

    def _is_doubted(self, entry: PinnedEntry) -> bool:
        return self._doubted or not (entry.version_id or entry.etag)

    def _object(self, entry: PinnedEntry) -> _Object:
        pin = Pin(self._prefix + entry.path, entry.version_id, entry.etag, entry.size)
        return _Object(self, self._client, pin)

    def _client(self) -> ObjectClient:
        found: ObjectClient | None = getattr(self._clients, "one", None)
        if found is None:
            found = self._clients.one = self._connect()
            weakref.finalize(self, found.close)
        return found


class _Object:
    """One pinned object, read in ranges; what was read last is kept."""

    def __init__(self, reader: ObjectReplica, client: Callable[[], ObjectClient], pin: Pin) -> None:
        key = pin.key.decode(errors="backslashreplace")
        self.size, self.place = pin.size, f"{reader.place} {key}"
        self.reader, self.pin, self._client = reader, pin, client
        self._kept, self._kept_at, self._window = memoryview(b""), 0, _FIRST

    def read_into(self, offset: int, view: memoryview) -> int:
        """Fill a view with bytes from an offset on."""
        end = min(offset + len(view), self.size)
        if end <= offset:
            return 0
        within = offset - self._kept_at
        if not 0 <= within < len(self._kept):
            self._fetch(offset, end - offset)
            within = 0
        piece = self._kept[within : within + end - offset]
        view[: len(piece)] = piece
        return len(piece)

    def read(self, offset: int, length: int) -> bytes:
        """Return so many bytes from an offset on."""
        length = max(min(length, self.size - offset), 0)
        if not length and self.size:
            return b""
        with _as_file_errors(self.place):
            return b"".join(self._client().read(self.pin, offset, length))

    def taken(self, reply: Reply, offset: int, length: int) -> bytes:
        """Return so many bytes from an offset on, to which this is the reply."""
        client = self._client()
        with _as_file_errors(self.place):
            if reply.status not in _OK:
                raise client.failure_of(reply, self.pin.key)
            return b"".join(client.part(reply, self.pin, offset, offset + length))

    def close(self) -> None:
        """Forget what was read."""
        self._kept = memoryview(b"")

    def _fetch(self, offset: int, least: int) -> None:
        goes_on = offset and offset == self._kept_at + len(self._kept)
        self._window = min(self._window * 2, _MOST) if goes_on else _FIRST
        self._kept = memoryview(self.read(offset, max(least, self._window)))
        self._kept_at = offset


@contextmanager
def _as_file_errors(place: str) -> Iterator[None]:
    """Raise what keeps an object from being read as programs expect it of a file."""
    try:
        yield
    except (ConflictError, NotFoundError) as err:
        raise ChangedGoldError.at(place, err.message) from err
    except DeniedError as err:
        raise PermissionError(errno.EACCES, err.message, place) from err
    except StoreUnreachableError as err:
        raise OSError(errno.EHOSTUNREACH, err.message, place) from err
