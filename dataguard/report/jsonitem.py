"""JSON text of an item of a long list, made by templates, without an object in between.

Law: `item_text(value) == json.dumps(encode(value))`.
"""

from __future__ import annotations

import json
from enum import Enum
from functools import cache, lru_cache
from json.encoder import encode_basestring_ascii as quoted
from typing import TYPE_CHECKING, Any

from dataguard.model.finding import Finding
from dataguard.report.encode import (
    FINDING_NAMES,
    encode,
    fields_of,
    finding_values,
    is_by_field,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Write = Callable[[Any], str]

__all__ = ["item_text"]


def item_text(value: Any) -> str:
    """Return a value as JSON text."""
    try:
        text = _writer(value.__class__)(value)
    except UnicodeDecodeError:
        return _encoded(value)
    # Text that is not ASCII may be told in two ways, which one is not for templates to know.
    return _encoded(value) if "\\u" in text else text


@cache
def _writer(kind: type) -> Write:
    """Return what writes values of a kind."""
    if kind is str:
        return quoted
    if kind is bytes:
        return lambda value: quoted(value.decode())
    if kind is Finding:
        return lambda value: _object(FINDING_NAMES, finding_values(value))
    if kind is dict:
        return lambda value: _object(tuple(map(str, value)), tuple(value.values()))
    if is_by_field(kind):
        names, values = fields_of(kind)
        return lambda value: _object(names, values(value))
    return cache(_encoded) if issubclass(kind, Enum) else _encoded


def _object(names: tuple[str, ...] = (), values: tuple[Any, ...] = ()) -> str:
    template, writers = _template(names, tuple(map(type, values)))
    if not writers:
        return template % values
    texts = list(values)
    for at, write in writers:
        texts[at] = write(texts[at])
    return template % tuple(texts)


@lru_cache(maxsize=1024)
def _template(
    names: tuple[str, ...], kinds: tuple[type, ...]
) -> tuple[str, tuple[tuple[int, Write], ...]]:
    """Return the text of an object with a place for each value, and what writes some of these."""
    text = ", ".join(quoted(name).replace("%", "%%") + ": %s" for name in names)
    others = [at for at, kind in enumerate(kinds) if kind is not int]
    return "{" + text + "}", tuple((at, _writer(kinds[at])) for at in others)


def _encoded(value: object) -> str:
    return json.dumps(encode(value))
