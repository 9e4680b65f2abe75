"""A report in JSON, read a piece at a time: a list in it may be of any length."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dataguard.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

__all__ = ["read_report"]

_PIECE = 1 << 20
_SPACES = " \t\n\r"
_AFTER = frozenset({*_SPACES, ",", ":", "]", "}"})
"""What follows a value."""


def read_report(path: str, rows: str, take: Callable[[Any], None]) -> dict[str, Any]:
    """Return the members of the object in a file, as `json.load` does, but for one list.

    Each item of the list named `rows` is given to `take` when it was read, and the list is empty in
    what is returned. Memory holds one item and a megabyte.

    Raises:
        UsageError: the file cannot be read.
        ValueError: it is no JSON, or no object.
        TypeError: a member has something else in place of its name.
        Exception: what `take` raises.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return _Reader(file, rows, take).document()
    except OSError as err:
        raise UsageError(f"cannot read the report {path}: {err.strerror}") from err


class _Reader:
    """The text that was read and not yet understood, from `at` on."""

    def __init__(self, file: TextIO, rows: str, take: Callable[[Any], None]) -> None:
        self._file, self._rows, self._take = file, rows, take
        self._decoder = json.JSONDecoder()
        self._text, self._at, self._ended = "", 0, False

    def document(self) -> dict[str, Any]:
        members: dict[str, Any] = {}
        self._expect("{")
        while not self._skip("}"):
            if members:
                self._expect(",")
            name = self._value()
            self._expect(":")
            if not isinstance(name, str):
                raise TypeError(f"{name!r} is no name")
            members[name] = self._list() if name == self._rows else self._value()
        if self._next():
            raise ValueError("more follows")
        return members

    def _list(self) -> Any:
        """Give away the items of a list; return something else as it is."""
        if not self._skip("["):
            return self._value()
        is_first = True
        while not self._skip("]"):
            if not is_first:
                self._expect(",")
            self._take(self._value())
            is_first = False
        return []

    def _value(self) -> Any:
        """Return the next value; `1` has ended where `.5` cannot follow any more."""
        self._next()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except ValueError:
                if self._ended:
                    raise
            else:
                if self._text[end : end + 1] in _AFTER or self._ended:
                    self._at = end
                    return value
            self._read_on()

    def _expect(self, sign: str) -> None:
        if not self._skip(sign):
            raise ValueError(f"no `{sign}` where one is needed")

    def _skip(self, sign: str) -> bool:
        """Step over a sign, where it is the next one."""
        found = self._next() == sign
        self._at += found
        return found

    def _next(self) -> str:
        """Return the next sign that is no space; empty at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _SPACES:
                self._at += 1
            if self._at < len(self._text) or self._ended:
                return self._text[self._at : self._at + 1]
            self._read_on()

    def _read_on(self) -> None:
        """Read as much again as waits already, so that a long value is not tried too often."""
        waiting = self._text[self._at :]
        more = self._file.read(max(_PIECE, len(waiting)))
        self._text, self._at, self._ended = waiting + more, 0, not more
