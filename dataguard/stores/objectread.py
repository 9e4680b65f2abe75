"""What a worker does with a unit of objects: reads each of them once and digests it.

Imports no Arrow, and no library of AWS where the environment holds the credentials: workers load
it.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections import deque
from dataclasses import field
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from dataguard.errors import ConflictError, DeniedError, NotFoundError
from dataguard.model.dataclass import dataclass
from dataguard.model.digest import Algorithm
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.stores.hashing import digester, new_hash
from dataguard.stores.objectclient import ObjectClient
from dataguard.stores.objectconnection import BrokenError
from dataguard.stores.objectreplies import ArchivedError, checksum_of, held_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from dataguard.model.objects import Pin
    from dataguard.stores.objectconnection import Reply
    from dataguard.stores.objectrequest import Request
    from dataguard.stores.s3access import Access

__all__ = ["ObjectUnit", "Read", "client_of", "has_checksum", "look_unit", "read_unit"]

_UNDER_WAY = 8
"""Requests under way in one worker: they hide the distance to the server."""
_LARGE = 64 << 20
_PART = 16 << 20
_PARTS_UNDER_WAY = 4
_OK = 200
_READ = (200, 206)
_FAILED = 500
_FULL = "FULL_OBJECT"
_CHECKSUMS = {
    Algorithm.XXH3_128: "XXHASH128",
    Algorithm.SHA256: "SHA256",
}
"""The checksums of S3 that are digests of a version: the same function over the same bytes."""


@dataclass(frozen=True, slots=True)
class ObjectUnit:
    """Objects of one bucket to read. With `by_checksum` the server's own checksums serve."""

    access: Access
    prefix: bytes
    pins: tuple[Pin, ...]
    algorithms: tuple[Algorithm, ...]
    by_checksum: bool = False


@dataclass(slots=True)
class Read:
    """What was read, one value for each pin.

    `digests` has the joined values of each algorithm, zeros where `known` is 0. `versions` and
    `checksums` are what the server told beside the bytes; None where it told nothing.
    """

    digests: tuple[bytes, ...] = ()
    known: bytes = b""
    versions: list[str | None] = field(default_factory=list)
    checksums: list[tuple[str | None, str | None]] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    files_read: int = 0
    bytes_read: int = 0
    by_checksum: int = 0


def has_checksum(algorithms: Sequence[Algorithm], kept: Collection[str]) -> bool:
    """Whether a checksum that a server keeps, of these kinds, can be all that is asked for."""
    return len(algorithms) == 1 and _CHECKSUMS.get(algorithms[0]) in kept


def read_unit(unit: ObjectUnit) -> Read:
    """Return the digests of the objects of a unit.

    Raises:
        StoreUnreachableError: the server does not answer.
    """
    return _Reading(unit).all()


def look_unit(unit: ObjectUnit) -> Read:
    """Return the versions and checksums of the objects of a unit; nothing is read.

    Raises:
        StoreUnreachableError: the server does not answer.
    """
    return _Reading(unit).looked()


@lru_cache(maxsize=4)
def client_of(access: Access) -> ObjectClient:
    """Return this process's client of a bucket: its connections outlast a unit."""
    return ObjectClient(access)


class _Reading:
    def __init__(self, unit: ObjectUnit) -> None:
        self._unit = unit
        self._client = client_of(unit.access)
        self._digesters = [digester(one) for one in unit.algorithms]
        self._found: dict[int, tuple[bytes, ...]] = {}
        count = len(unit.pins)
        self._read = Read(versions=[None] * count, checksums=[(None, None)] * count)

    def all(self) -> Read:
        unit, read = self._unit, self._read
        rows: Iterable[int] = range(len(unit.pins))
        if unit.by_checksum:
            rows = self._by_checksum(rows)
        self._small(row for row in rows if unit.pins[row].size <= _LARGE)
        for row in rows:
            if unit.pins[row].size > _LARGE:
                self._guarded(row, self._large)
        read.known = bytes(row in self._found for row in range(len(unit.pins)))
        zeros = tuple(bytes(one.digest_bytes) for one in unit.algorithms)
        values = [self._found.get(row, zeros) for row in range(len(unit.pins))]
        read.digests = tuple(b"".join(column) for column in zip(*values, strict=True))
        return read

    def looked(self) -> Read:
        read, count = self._read, len(self._unit.pins)
        heads = self._client.ask_many(map(self._client.heading, self._unit.pins), _UNDER_WAY)
        known = bytearray(count)
        for row, reply in enumerate(heads):
            self._guarded(row, partial(self._look, reply, known))
        read.known = bytes(known)
        return read

    def _look(self, reply: Reply, known: bytearray, row: int) -> None:
        if reply.status != _OK:
            raise self._client.failure_of(reply, self._unit.pins[row].key)
        self._note(row, reply)
        known[row] = 1

    def _by_checksum(self, rows: Iterable[int]) -> list[int]:
        """Take the checksums of the server where they serve; return the rows left to be read.

        The smallest of a unit is read all the same: a server may keep what a client claimed.
        """
        told, left, proven = {}, [], False
        asked = list(rows)
        requests = (self._client.heading(self._unit.pins[row]) for row in asked)
        heads = self._client.ask_many(requests, _UNDER_WAY)
        for row, reply in zip(asked, heads, strict=True):
            found = self._told(row, reply)
            if found is None:
                left.append(row)
            else:
                told[row] = found
        for row in sorted(told, key=lambda row: self._unit.pins[row].size):
            if proven:
                self._found[row] = (told[row],)
                self._read.by_checksum += 1
            else:
                proven = self._prove(row, told[row])
        return left

    def _told(self, row: int, reply: Reply) -> bytes | None:
        """Return the digest that the server keeps of what is pinned, if it is one of ours."""
        pin = self._unit.pins[row]
        if reply.status != _OK:  # reading it says why
            reply.close()
            return None
        held = held_of(reply.headers)
        self._note(row, reply)
        wanted = f"{_CHECKSUMS[self._unit.algorithms[0]]}:"
        kept = held.checksum or ""
        same = held.size == pin.size and held.etag in (None, pin.etag)
        if not (same and held.checksum_type == _FULL and kept.startswith(wanted)):
            return None
        try:
            digest = b64decode(kept.removeprefix(wanted), validate=True)
        except binascii.Error:
            return None
        return digest if len(digest) == self._unit.algorithms[0].digest_bytes else None

    def _prove(self, row: int, told: bytes) -> bool:
        """Read one object, and refuse the server's checksums where this one is not its digest."""
        if self._unit.pins[row].size > _LARGE:
            self._guarded(row, self._large)
        else:
            self._small([row])
        found = self._found.get(row)
        if found is None or found == (told,):
            return found is not None
        del self._found[row]
        detail = "the checksum that the server keeps is not that of the content"
        self._fail(row, Obstacle.IO_ERROR, detail)
        return False

    def _small(self, rows: Iterable[int]) -> None:
        """Read objects whole, several requests under way."""
        pins, client = self._unit.pins, self._client
        asked: deque[int] = deque()

        def requests() -> Iterator[Request]:
            for row in rows:
                asked.append(row)
                yield client.reading(pins[row], 0, pins[row].size)

        for reply in client.ask_many(requests(), _UNDER_WAY):
            self._guarded(asked.popleft(), partial(self._take, reply))

    def _take(self, reply: Reply, row: int) -> None:
        pin = self._unit.pins[row]
        if reply.status not in _READ:
            status = reply.status
            error = self._client.failure_of(reply, pin.key)
            if status >= _FAILED:
                self._fail(row, Obstacle.IO_ERROR, error.message)
                return
            raise error
        self._client.check_read(reply, pin, 0, pin.size)
        try:
            data = reply.whole()
        except BrokenError:  # the client goes on where it broke
            data = b"".join(self._client.read(pin))
        if len(data) != pin.size:
            raise ConflictError(f"it is {len(data)} bytes long, not {pin.size}")
        self._note(row, reply)
        self._done(row, tuple(digest(data) for digest in self._digesters))

    def _large(self, row: int) -> None:
        """Read an object in ranges, several of them under way, and digest it as it comes."""
        pin, client = self._unit.pins[row], self._client
        hashes = [new_hash(one)() for one in self._unit.algorithms]
        ranges = [(at, min(at + _PART, pin.size)) for at in range(0, pin.size, _PART)]
        requests = (client.reading(pin, *one) for one in ranges)
        replies = client.ask_many(requests, _PARTS_UNDER_WAY)
        for (start, end), reply in zip(ranges, replies, strict=True):
            if reply.status not in _READ:
                raise client.failure_of(reply, pin.key)
            for piece in client.part(reply, pin, start, end):
                for one in hashes:
                    one.update(memoryview(piece))
            self._note(row, reply)
        self._done(row, tuple(one.digest() for one in hashes))

    def _done(self, row: int, digests: tuple[bytes, ...]) -> None:
        self._found[row] = digests
        self._read.files_read += 1
        self._read.bytes_read += self._unit.pins[row].size

    def _note(self, row: int, reply: Reply) -> None:
        self._read.versions[row] = reply.headers.get("x-amz-version-id")
        self._read.checksums[row] = checksum_of(reply.headers)

    def _guarded(self, row: int, act: Callable[[int], None]) -> None:
        """Note what keeps one object from being read; the others are read all the same."""
        try:
            act(row)
        except NotFoundError as err:
            self._fail(row, Obstacle.VANISHED, err.message)
        except DeniedError as err:
            self._fail(row, Obstacle.DENIED, err.message)
        except ArchivedError as err:
            self._fail(row, Obstacle.ARCHIVED, err.message)
        except ConflictError as err:
            self._fail(row, Obstacle.UNSTABLE, err.message)

    def _fail(self, row: int, obstacle: Obstacle, detail: str) -> None:
        path = self._unit.pins[row].key[len(self._unit.prefix) :]
        self._read.unreadable.append(Unreadable(path, obstacle, detail))
