"""Model values as JSON records and back, for event payloads and table rows."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache, partial
from types import NoneType, UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from dataguard.core.chain import format_time, parse_time
from dataguard.errors import CatalogDamagedError, UsageError
from dataguard.model.actor import Actor, Process
from dataguard.model.digest import Algorithm, RootDigest
from dataguard.model.finding import Code
from dataguard.model.objects import ObjectPlace

__all__ = ["decode", "encode"]

T = TypeVar("T")
Reading = Callable[[Any], object]

# The model imports these for type checkers only, so its annotations need them to be resolved.
_NAMES = {
    "Actor": Actor,
    "Algorithm": Algorithm,
    "Mapping": Mapping,
    "ObjectPlace": ObjectPlace,
    "Process": Process,
    "RootDigest": RootDigest,
    "datetime": datetime,
}

_PLAIN = frozenset([NoneType, bool, float, int, str])
_WRITERS: dict[type, Callable[[Any], object]] = {
    Code: lambda code: code.name,  # its value is its text, which later releases may reword
    Enum: lambda member: member.value,
    datetime: format_time,
    bytes: lambda raw: b64encode(raw).decode(),
    RootDigest: str,
}
_READERS: dict[type, Reading] = {
    Code: Code.__getitem__,
    datetime: parse_time,
    bytes: lambda text: b64decode(text, validate=True),
    RootDigest: RootDigest.parse,
}


def encode(value: object) -> dict[str, object]:
    """Return the JSON record of a model value.

    Law: `decode(type(v), encode(v)) == v`. Times are RFC 3339 text, bytes base64, enums their
    values (finding codes their names), root digests their text form.
    """
    if not is_dataclass(value):
        raise TypeError(f"{type(value).__name__} is no model value")
    return {name: _encoded(getattr(value, name)) for name in _names(value.__class__)}


def decode(kind: type[T], record: Mapping[str, object]) -> T:
    """Return the model value of a JSON record; members that `kind` does not know are ignored.

    Raises:
        CatalogDamagedError: a member is missing or has no sense.
    """
    try:
        return _built(kind, record)
    except (KeyError, TypeError, ValueError, AttributeError, UsageError) as err:
        raise CatalogDamagedError(
            f"a record of the catalog is no {kind.__name__.lower()}: {err}",
            hint="`dataguard catalog check` says what is damaged",
        ) from err


def _encoded(value: object) -> object:
    kind: type = value.__class__
    return value if kind in _PLAIN else _writing(kind)(value)


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


@cache
def _writing(kind: type) -> Callable[[Any], object]:
    """Return how values of a class are written: a burst of findings has millions of them."""
    if issubclass(kind, Mapping):
        return lambda items: {str(key): _encoded(item) for key, item in items.items()}
    if issubclass(kind, list | tuple):
        return lambda items: [_encoded(item) for item in items]
    for known, write in _WRITERS.items():
        if issubclass(kind, known):
            return write
    return encode if is_dataclass(kind) else lambda value: value


def _built(kind: type[T], record: Mapping[str, object]) -> T:
    readers = _members(cast(type, kind))
    return kind(**{name: readers[name](record[name]) for name in readers.keys() & record.keys()})


@cache
def _members(kind: type) -> dict[str, Reading]:
    """Return how each member of a model class is read."""
    return {name: _reading(hint) for name, hint in _hints(kind).items()}


def _hints(kind: type) -> dict[str, object]:
    return get_type_hints(kind, localns=_NAMES)


def _reading(hint: object) -> Reading:
    parts = [_reading(part) for part in get_args(hint) if part not in {NoneType, Ellipsis}]
    origin = get_origin(hint)
    if origin is UnionType:
        return lambda value: None if value is None else parts[0](value)
    if origin is tuple:
        return lambda items: tuple(parts[0](item) for item in items)
    if origin is Mapping:
        return lambda items: {key: parts[1](item) for key, item in items.items()}
    return _reading_single(cast(type, hint))


def _reading_single(hint: type) -> Reading:
    if hint in _READERS:
        return _READERS[hint]
    if issubclass(hint, Enum):
        return hint
    if is_dataclass(hint):
        return partial(_built, hint)
    return partial(_checked, hint)


def _checked(hint: type, value: object) -> object:
    if not isinstance(value, hint):
        raise TypeError(f"{value!r} where {hint.__name__} is expected")
    return value
