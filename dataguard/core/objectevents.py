"""Events of object stores, in the forms in which they are sent: which keys may have changed.

Records of S3 come by themselves (AWS, MinIO, Ceph, MiniStack), in a message of SNS, or as an event
of EventBridge. How a key is quoted depends on who sent it, and not everybody follows AWS; since an
event only makes somebody look, every reading of a key is looked at.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ObjectEvent", "events_in"]

_DEEPEST = 3
_LITERAL = "ceph"
"""Whose records have keys as they are."""


@dataclass(frozen=True, slots=True)
class ObjectEvent:
    """What one record says; `keys` are the readings of its key, the likeliest first.

    Empty texts stand for what it does not say. Nothing of it is proved.
    """

    bucket: str
    keys: tuple[bytes, ...]
    principal: str = ""
    address: str = ""
    version_id: str = ""


def events_in(message: bytes | str) -> tuple[ObjectEvent, ...]:
    """Return the events in the body of a message; none for a message of something else.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        return tuple(_events(json.loads(message), _DEEPEST))
    except (ValueError, RecursionError) as err:
        raise ValueError(f"the message is no JSON that can be read: {err}") from err


def _events(data: object, depth: int) -> Iterator[ObjectEvent]:
    match data:
        case {"Records": list(records)} | list(records) if depth:
            for one in records:
                yield from _events(one, depth - 1)
        case {"Message": str(inner)} if depth:  # SNS
            yield from _events(json.loads(inner), depth - 1)
        case {"s3": dict(record)}:
            yield from _of_record(data, record)
        case {"source": "aws.s3", "detail": dict(detail)}:  # EventBridge, which quotes nothing
            yield from _of_bridge(detail)


def _of_record(data: object, record: object) -> Iterator[ObjectEvent]:
    bucket, key = _text(record, "bucket", "name"), _text(record, "object", "key")
    if bucket and key:
        yield ObjectEvent(
            bucket,
            _readings(key, literal=_LITERAL in _text(data, "eventSource")),
            _text(data, "userIdentity", "principalId"),
            _text(data, "requestParameters", "sourceIPAddress"),
            _text(record, "object", "versionId"),
        )


def _of_bridge(detail: object) -> Iterator[ObjectEvent]:
    bucket, key = _text(detail, "bucket", "name"), _text(detail, "object", "key")
    if bucket and key:
        yield ObjectEvent(
            bucket,
            _readings(key, literal=True),
            _text(detail, "requester"),
            _text(detail, "source-ip-address"),
            _text(detail, "object", "version-id"),
        )


def _readings(key: str, *, literal: bool) -> tuple[bytes, ...]:
    plain = key.encode("utf-8", "surrogatepass")
    as_form = unquote_to_bytes(plain.replace(b"+", b" "))
    first = (plain, as_form) if literal else (as_form, plain)
    return tuple(dict.fromkeys((*first, unquote_to_bytes(plain))))


def _text(data: object, *names: str) -> str:
    for name in names:
        data = data.get(name) if isinstance(data, dict) else None
    return data if isinstance(data, str) else ""
