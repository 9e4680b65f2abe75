"""The event chain: canonical JSON, the hash that links an event to the one before, and its check.

An event's line is canonical JSON (sorted keys, no white space, ASCII). Its `hash` is the SHA-256
of that same line without the `hash` member, so anybody can check a log with a JSON library:

```
event = json.loads(line)
found = event.pop("hash")
text = json.dumps(event, sort_keys=True, separators=(",", ":"))
assert hashlib.sha256(text.encode()).hexdigest() == found
```
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypedDict, cast

from dataguard.model.actor import Actor
from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "START",
    "Break",
    "Event",
    "Head",
    "Rendered",
    "canonical_json",
    "event_hash",
    "event_line",
    "find_break",
    "first_break",
    "format_time",
    "next_event",
    "parse_line",
    "parse_time",
    "rendered",
]


@dataclass(frozen=True, slots=True)
class Event:
    """One change of the catalog; `payload` holds JSON values and is complete for a replay."""

    seq: int
    time: datetime
    kind: str
    actor: Actor
    payload: Mapping[str, object]
    previous: str
    hash: str


class Rendered(dict[str, object]):
    """A payload beside its canonical text, and never changed: many ask for the text of large ones.

    Law: `canonical_json(dict(r)) == r.text`; whoever makes one has to see to it.
    """

    __slots__ = ("text",)

    def __init__(self, payload: Mapping[str, object], text: bytes) -> None:
        super().__init__(payload)
        self.text = text


@dataclass(frozen=True, slots=True)
class Head:
    """The last link of a chain: what the next event must follow."""

    seq: int
    hash: str


START = Head(0, "0" * 64)
"""Before the first event."""


@dataclass(frozen=True, slots=True)
class Break:
    """Where a chain does not hold, and why, in words for the user."""

    seq: int
    reason: str


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


class _Line(TypedDict):
    seq: int
    time: str
    kind: str
    actor: dict[str, object]
    payload: dict[str, object]
    previous: str
    hash: str


def canonical_json(value: object) -> bytes:
    """Return the one JSON text of a value: sorted keys, no white space, ASCII only.

    Undecodable bytes of paths (surrogate escapes) survive, since everything is escaped.

    Raises:
        ValueError: the value holds a float that is no number.
    """
    return _CANONICAL.encode(value).encode("ascii")


def rendered(payload: Mapping[str, object]) -> Rendered:
    """Return a payload with its canonical text, made here where it has none."""
    return payload if isinstance(payload, Rendered) else Rendered(payload, canonical_json(payload))


def format_time(time: datetime) -> str:
    """Return RFC 3339 in UTC with six decimals, which sorts as text; see `parse_time`."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """Read what `format_time` wrote: `parse_time(format_time(t)) == t`.

    Raises:
        ValueError: the text is no time in UTC.
    """
    time = datetime.fromisoformat(text)
    if time.utcoffset() is None:
        raise ValueError(f"`{text}` has no time zone")
    return time.astimezone(UTC)


def event_hash(
    previous: str,
    seq: int,
    *,
    time: datetime,
    kind: str,
    actor: Actor,
    payload: Mapping[str, object],
) -> str:
    """Return the SHA-256 (hex) of the event's line without its hash."""
    return _hash(Event(seq, time, kind, actor, payload, previous, hash=""))


def next_event(
    head: Head, *, time: datetime, kind: str, actor: Actor, payload: Mapping[str, object]
) -> Event:
    """Return the event that follows `head`."""
    event = Event(head.seq + 1, time, kind, actor, rendered(payload), head.hash, hash="")
    return replace(event, hash=_hash(event))


def event_line(event: Event) -> bytes:
    """Return the event as one line with its newline: `parse_line(event_line(e)) == e`."""
    return _text(event, {"hash": event.hash}) + b"\n"


def parse_line(line: bytes) -> Event:
    """Read one line of an event log; whether its hash holds is the question of `find_break`.

    Raises:
        ValueError: the line is not the canonical line of an event.
    """
    try:
        fields = cast(_Line, json.loads(line))
        event = Event(
            fields["seq"],
            parse_time(fields["time"]),
            fields["kind"],
            Actor(**fields["actor"]),  # type: ignore[arg-type]  # checked by the comparison below
            rendered(fields["payload"]),
            fields["previous"],
            fields["hash"],
        )
        canonical = event_line(event)
    except (KeyError, TypeError, AttributeError) as err:
        raise ValueError("not an event") from err
    if canonical.rstrip(b"\n") != line.rstrip(b"\n"):
        raise ValueError("not the canonical text of an event")
    return event


def find_break(head: Head, event: Event) -> Break | None:
    """Return why `event` does not follow `head`, or None where it does."""
    if event.seq != head.seq + 1:
        return Break(event.seq, f"event {head.seq + 1} expected, found event {event.seq}")
    if event.previous != head.hash:
        return Break(event.seq, f"event {event.seq} does not follow the event before it")
    if _hash(event) != event.hash:
        return Break(event.seq, f"event {event.seq} was changed after it was written")
    return None


def first_break(events: Iterable[Event], head: Head = START) -> Break | None:
    """Return the first broken link of a stream of events that begins after `head`, or None."""
    for event in events:
        found = find_break(head, event)
        if found is not None:
            return found
        head = Head(event.seq, event.hash)
    return None


def _hash(event: Event) -> str:
    return hashlib.sha256(_text(event, {})).hexdigest()


def _text(event: Event, also: Mapping[str, object]) -> bytes:
    """Return the canonical text of an event, around that of its payload; `also` sorts in front."""
    before = {"actor": asdict(event.actor), **also, "kind": event.kind}
    after = {"previous": event.previous, "seq": event.seq, "time": format_time(event.time)}
    payload = b',"payload":' + rendered(event.payload).text + b","
    return canonical_json(before)[:-1] + payload + canonical_json(after)[1:]
