"""Asks a server about pinned objects, their locks and the objects over them; reads no content.

Imports no Arrow: workers load it.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from dataguard.errors import DeniedError
from dataguard.model.dataclass import dataclass
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.model.objects import Asked
from dataguard.stores.objectread import ObjectUnit, client_of, read_unit
from dataguard.stores.objectreplies import held_of, text_of
from dataguard.stores.objectrequest import Request

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dataguard.model.digest import DigestPlan
    from dataguard.model.objects import Held, Pin
    from dataguard.stores.interface import Spread
    from dataguard.stores.objectconnection import Reply
    from dataguard.stores.objectread import Read
    from dataguard.stores.s3access import Access

__all__ = ["PinUnit", "PinnedObjects", "ask_unit"]

_UNDER_WAY = 8
_UNIT = 128
_UNIT_BYTES = 32 << 20
_OK = 200
_ABSENT = (404, 405)
"""405 is how some servers answer where the version asked for is a delete marker."""
_UNLOCKED = frozenset(
    {
        "NoSuchObjectLockConfiguration",
        "ObjectLockConfigurationNotFoundError",  # SeaweedFS, in buckets with a lock too
        "InvalidRequest",
    }
)
"""What a server says of an object that no retention holds, and in a bucket without a lock."""


@dataclass(frozen=True, slots=True)
class PinUnit:
    """Pins to ask about, each with whether the newest object of its key is asked for too.

    `locks`: whether it has to be known what holds them.
    """

    access: Access
    prefix: bytes
    pins: tuple[tuple[Pin, bool], ...]
    locks: bool


class PinnedObjects:
    """What a version pinned in a bucket: asked about, or read, by the workers of an engine."""

    def __init__(self, access: Access, prefix: bytes, spread: Spread) -> None:
        """Connect to nothing yet."""
        self._access = access
        self._prefix = prefix
        self._spread = spread

    def ask(self, pins: Iterable[tuple[Pin, bool]], *, locks: bool) -> Iterator[Asked]:
        """Yield what the server says of each pin, in order.

        Raises:
            StoreUnreachableError: the server does not answer.
        """
        units = (PinUnit(self._access, self._prefix, part, locks) for part in _parts(pins))
        for _, answers in self._spread(ask_unit, units):
            yield from answers

    def read(self, pins: Iterable[Pin], plan: DigestPlan) -> Iterator[Read]:
        """Yield the digests of what is pinned, a unit at a time, in order.

        Raises:
            StoreUnreachableError: the server does not answer.
        """
        units = (
            ObjectUnit(self._access, self._prefix, part, plan.algorithms) for part in _sized(pins)
        )
        for _, read in self._spread(read_unit, units):
            yield read


def ask_unit(unit: PinUnit) -> tuple[Asked, ...]:
    """Return what the server says of the pins of a unit.

    Raises:
        StoreUnreachableError: the server does not answer.
    """
    return tuple(_Asking(unit).all())


def _parts(pins: Iterable[tuple[Pin, bool]]) -> Iterator[tuple[tuple[Pin, bool], ...]]:
    source = iter(pins)
    while part := tuple(islice(source, _UNIT)):
        yield part


def _sized(pins: Iterable[Pin]) -> Iterator[tuple[Pin, ...]]:
    part: list[Pin] = []
    size = 0
    for pin in pins:
        if part and (len(part) == _UNIT or size + pin.size > _UNIT_BYTES):
            yield tuple(part)
            part, size = [], 0
        part.append(pin)
        size += pin.size
    if part:
        yield tuple(part)


class _Asking:
    def __init__(self, unit: PinUnit) -> None:
        self._unit = unit
        self._client = client_of(unit.access)

    def all(self) -> Iterator[Asked]:
        asked = list(self._requests())
        replies = self._client.ask_many((request for _, request in asked), _UNDER_WAY)
        found: list[Asked] = [Asked() for _ in self._unit.pins]
        for (row, request), reply in zip(asked, replies, strict=True):
            found[row] = self._noted(found[row], row, reply, newest=not request.query)
        for row, one in enumerate(found):
            yield self._with_lock(one, row)

    def _requests(self) -> Iterator[tuple[int, Request]]:
        headers = (("x-amz-checksum-mode", "ENABLED"),)
        for row, (pin, doubtful) in enumerate(self._unit.pins):
            if pin.version_id is not None:
                query = (("versionId", pin.version_id),)
                yield row, Request("HEAD", pin.key, query, headers)
            if doubtful or pin.version_id is None:
                yield row, Request("HEAD", pin.key, (), headers)

    def _noted(self, known: Asked, row: int, reply: Reply, *, newest: bool) -> Asked:
        pin = self._unit.pins[row][0]
        held, gap = None, known.gap
        if reply.status == _OK:
            held = held_of(reply.headers)
        elif reply.status not in _ABSENT:
            gap = gap or self._gap(row, reply)
        marker = known.marker or reply.headers.get("x-amz-delete-marker") == "true"
        reply.close()
        pinned = held if not newest or pin.version_id is None else known.pinned
        return Asked(pinned, held if newest else known.newest, marker=marker, gap=gap)

    def _gap(self, row: int, reply: Reply) -> Unreadable:
        pin = self._unit.pins[row][0]
        error = self._client.failure_of(reply, pin.key)
        obstacle = Obstacle.DENIED if isinstance(error, DeniedError) else Obstacle.IO_ERROR
        return Unreadable(pin.key[len(self._unit.prefix) :], obstacle, error.message)

    def _with_lock(self, asked: Asked, row: int) -> Asked:
        """Ask for the retention where HEAD is silent: it is so without the right to see it too."""
        held = asked.pinned
        if not self._unit.locks or held is None or held.lock_mode or held.legal_hold:
            return asked
        pin = self._unit.pins[row][0]
        query = (("retention", ""), *((("versionId", pin.version_id),) if pin.version_id else ()))
        reply = self._client.send(Request("GET", pin.key, query))
        if reply.status == _OK:
            return replace(asked, pinned=_retained(held, self._client.whole(reply)))
        body = self._client.whole(reply)
        if text_of(body, "Code") in _UNLOCKED:
            return asked
        path = pin.key[len(self._unit.prefix) :]
        detail = f"its retention cannot be seen: the server answers {reply.status}"
        return replace(asked, gap=asked.gap or Unreadable(path, Obstacle.DENIED, detail))


def _retained(held: Held, body: bytes) -> Held:
    headers = {
        "x-amz-object-lock-mode": text_of(body, "Mode") or "",
        "x-amz-object-lock-retain-until-date": text_of(body, "RetainUntilDate") or "",
    }
    told = held_of(headers)
    return replace(held, lock_mode=told.lock_mode, retain_until=told.retain_until)
