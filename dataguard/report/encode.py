"""Results to JSON values: the fields that DESIGN fixes, by name."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import cache, lru_cache, singledispatch
from operator import attrgetter
from typing import Any, cast

from dataguard.core.chain import Event, event_line
from dataguard.core.paths import json_fields
from dataguard.model.digest import RootDigest
from dataguard.model.entry import Unreadable
from dataguard.model.finding import Code, Finding
from dataguard.report.forms import AS_JSON, load_forms

__all__ = [
    "FINDING_NAMES",
    "Json",
    "by_field",
    "encode",
    "encode_result",
    "fields_of",
    "finding_values",
    "is_by_field",
    "member",
]

Json = dict[str, Any]

FINDING_NAMES = (
    *("id", "code", "severity", "dataset", "version", "path", "message", "remedy"),
    *("first_seen", "last_seen", "count", "state", "evidence"),
)

_PLAIN = frozenset({bool, int, float, type(None)})
"""What is JSON as it is."""

_LISTS = {
    "catalog events": "events",
    "unmount": "unmounted",
    "workspace list": "workspaces",
    "workspace remove": "unmounted",
}
"""Names of results that are lists alone, by command."""


def encode_result(command: str, value: object) -> Json:
    """Return the JSON object of a command's result, with its schema."""
    words = re.sub(r"[^a-z]+", "-", command)
    shown = encode(value)
    fields = {_LISTS.get(command, "results"): shown} if isinstance(shown, list) else shown
    return {"schema": f"dataguard.{words}/1", **fields}


@singledispatch
def encode(value: Any) -> Any:
    r"""Return a value as JSON: dataclasses by field, times as RFC 3339, paths as text.

    A path or text that is not UTF-8 is shown with `\xNN` and has `<name>_b64` beside it.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return _form(type(value))(value)
    if isinstance(value, Mapping):
        return _members((str(key), item) for key, item in value.items())
    if isinstance(value, Collection) and not isinstance(value, str):
        return [item if type(item) in _PLAIN else _form(item.__class__)(item) for item in value]
    return value


@encode.register
def _(value: str) -> str:
    # Also enums of text. Lone surrogates, which stand for undecodable bytes, are no valid JSON.
    text = str(value)
    return text if text.isascii() else json_fields(_raw(text))["path"]


@encode.register
def _(value: Enum) -> Any:
    return value.name if isinstance(value, Code) else value.value


@encode.register
def _(value: datetime) -> str:
    return _time(value)


@lru_cache(maxsize=64)
def _time(value: datetime) -> str:
    """Return a time as text; a result may say one and the same of a million findings."""
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@encode.register
def _(value: bytes) -> str:
    return json_fields(value)["path"]


@encode.register
def _(value: RootDigest) -> str:
    return str(value)


@encode.register
def _(value: Event) -> Json:
    # As the log has it, byte for byte: somebody may want to compute the hash again.
    return cast("Json", json.loads(event_line(value)))


@encode.register
def _(value: Finding) -> Json:
    return _members(zip(FINDING_NAMES, finding_values(value), strict=True))


@encode.register
def _(value: Unreadable) -> Json:
    return {**json_fields(value.path), "reason": str(value.obstacle), "detail": value.detail}


def finding_values(value: Finding) -> tuple[Any, ...]:
    """Return what JSON tells of a finding, in the order of `FINDING_NAMES`."""
    return (
        value.id,
        value.code.name,
        str(value.severity),
        value.dataset,
        value.version,
        value.path,
        value.message,
        value.remedy,
        _time(value.first_seen),
        _time(value.last_seen),
        value.count,
        str(value.state),
        value.evidence,
    )


def is_by_field(kind: type[object]) -> bool:
    """Whether JSON has the fields of values of a kind by name, and nothing else."""
    return is_dataclass(kind) and _form(kind) is by_field


def by_field(value: Any) -> Json:
    """Return the fields of a dataclass by name."""
    names, values = fields_of(value.__class__)
    return _members(zip(names, values(value), strict=True))


@cache
def _form(kind: type[object]) -> Callable[[Any], Any]:
    """Return what encodes values of a kind: its module is loaded, and asked for once."""
    if is_dataclass(kind):
        load_forms(kind, AS_JSON)
        found = encode.dispatch(kind)
        return by_field if found is encode.dispatch(object) else found
    return encode.dispatch(kind)


def _members(items: Iterable[tuple[str, Any]]) -> Json:
    """Return values under their names."""
    found: Json = {}
    for name, item in items:
        kind = type(item)
        # Most are such, and a result may have a million of them.
        if kind in _PLAIN or (kind is str and item.isascii()):
            found[name] = item
        elif kind is bytes:
            found |= json_fields(item, name)
        else:
            found |= member(name, item)
    return found


@cache
def fields_of(kind: type) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    """Return the names of a dataclass's fields, and what takes their values."""
    names = tuple(field.name for field in fields(kind))
    if len(names) > 1:
        return names, attrgetter(*names)
    return names, lambda value: tuple(getattr(value, name) for name in names)


def member(name: str, value: Any) -> Json:
    """Return a value under its name, with `<name>_b64` where it is text that is not UTF-8."""
    if type(value) in _PLAIN:
        return {name: value}
    if isinstance(value, bytes):
        return json_fields(value, name)
    if isinstance(value, str) and not value.isascii():
        return json_fields(_raw(value), name)
    return {name: value if type(value) is str else _form(value.__class__)(value)}


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
