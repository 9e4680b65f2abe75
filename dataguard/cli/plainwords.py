"""Reads the words of a command without the parser, where they are as plain as in its examples.

To load the parser takes longer than most of what happens before `register` reads. What is read
here means to the parser the same, which a test asks of it; it also has every word that is not
plain, everything wrong, and every help.
"""

from __future__ import annotations

import os
from collections import deque
from enum import Enum
from importlib import import_module
from inspect import Parameter
from types import UnionType
from typing import TYPE_CHECKING, Any, get_args

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["COMMANDS", "PlainApp", "understood"]

COMMANDS = frozenset({"audit", "gate", "register"})
"""The commands that are read so, if their words are plain."""


class PlainApp:
    """Takes the place of typer's application: holds the command that is added to it."""

    run: Callable[..., int]
    parameters: Sequence[Parameter]


def understood(words: Sequence[str]) -> Callable[[], int] | None:
    """Return what runs the command that these words mean; None where the parser has to look."""
    if not words or words[0] not in COMMANDS or "_DATAGUARD_COMPLETE" in os.environ:
        return None
    app = PlainApp()
    import_module(f"dataguard.cli.{words[0]}").add(app)
    values = _values([_Taker.of(one) for one in app.parameters], deque(words[1:]))
    return None if values is None else lambda: app.run(**values)


@dataclass(frozen=True, slots=True)
class _Taker:
    """A parameter: by which names it is given, and of which type its value is."""

    key: str
    names: tuple[str, ...]
    kind: Any
    default: Any

    @classmethod
    def of(cls, parameter: Parameter) -> _Taker:
        """Return what takes the words of a declared parameter; `TYPE | None` takes a TYPE."""
        hint, declared = get_args(parameter.annotation)
        kind = get_args(hint)[0] if isinstance(hint, UnionType) else hint
        return cls(parameter.name, declared.names, kind, parameter.default)

    def take(self, word: str, values: dict[str, Any]) -> bool:
        """Keep what a word says; returns whether that is plain."""
        if not word or word.startswith("-"):
            return False
        if self.kind == list[str]:
            values.setdefault(self.key, []).append(word)
        elif self.kind is str:
            values[self.key] = word
        elif issubclass(self.kind, Enum) and word in [member.value for member in self.kind]:
            values[self.key] = self.kind(word)
        else:
            return False
        return True

    def count(self, values: dict[str, Any]) -> None:
        """Keep that the name of an option without a value was said."""
        values[self.key] = True if self.kind is bool else values.get(self.key, 0) + 1


def _values(takers: Sequence[_Taker], words: deque[str]) -> dict[str, Any] | None:
    """Return the value of each parameter; None where a word is not plain."""
    options = {name: one for one in takers for name in one.names}
    places = deque(one for one in takers if not one.names)
    values: dict[str, Any] = {}
    while words:
        word = words.popleft()
        is_plain = (
            _option(options, word, words, values)
            if word.startswith("-")
            else _place(places, word, values)
        )
        if not is_plain:
            return None
    for one in takers:
        values.setdefault(one.key, one.default)
    return None if Parameter.empty in values.values() else values


def _option(
    options: Mapping[str, _Taker], word: str, rest: deque[str], values: dict[str, Any]
) -> bool:
    name, given, value = word.partition("=")
    one = options.get(name)
    if one is None or (given and not name.startswith("--")):
        return False
    if one.kind in (bool, int):
        one.count(values)
        return not given
    return bool(given or rest) and one.take(value if given else rest.popleft(), values)


def _place(places: deque[_Taker], word: str, values: dict[str, Any]) -> bool:
    """Give a word to the next argument; one that takes several stays the next."""
    if not places:
        return False
    one = places[0] if places[0].kind == list[str] else places.popleft()
    return one.take(word, values)
