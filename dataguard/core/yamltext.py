"""Plain values as YAML that every parser reads alike: block style, all text in double quotes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

__all__ = ["to_yaml"]


def to_yaml(document: Mapping[str, object]) -> str:
    """Return a document of mappings, lists, text, numbers and truth values as YAML.

    Text is quoted as in JSON, which YAML reads as it is: nothing turns into a number or `no`. Keys
    are words that need no quotes. Law: `yaml.safe_load(to_yaml(d)) == d`.
    """
    return "".join(line + "\n" for line in _mapping(document, ""))


def _mapping(values: Mapping[str, object], indent: str) -> Iterator[str]:
    for key, value in values.items():
        yield from _entry(f"{indent}{key}:", value, indent + "  ")


def _sequence(values: Sequence[object], indent: str) -> Iterator[str]:
    for value in values:
        if isinstance(value, Mapping) and value:
            first, *rest = _mapping(value, indent + "  ")
            yield f"{indent}- {first.lstrip()}"
            yield from rest
        else:
            yield from _entry(f"{indent}-", value, indent + "  ")


def _entry(head: str, value: object, indent: str) -> Iterator[str]:
    match value:
        case Mapping() if value:
            yield head
            yield from _mapping(value, indent)
        case [_, *_] as values:
            yield head
            yield from _sequence(values, indent)
        case _:
            yield f"{head} {json.dumps(value, ensure_ascii=False)}"
