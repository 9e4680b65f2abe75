"""Kinds of columns: how a record's member is stored, whatever it may hold, in any database."""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

from dataguard.core.chain import canonical_json
from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ANY_TEXT", "BINARY", "BOOLEAN", "INTEGER", "JSON", "NAME", "TEXT", "Kind"]

_UNSTORABLE = "[\\\\\x00\ud800-\udfff]"
_ESCAPED = r"\\(?:\\|u([0-9a-f]{4}))"
"""Compiled where they are needed, which is seldom: no text of ASCII without a backslash has any."""


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """The type that a database is told, and the way there and back: `load(store(v)) == v`.

    A kind without a way keeps the value as it is; None is always stored as NULL.
    """

    declared: str
    write: Callable[[Any], object] | None = None
    read: Callable[[Any], object] | None = None

    def store(self, value: object) -> object:
        """Return what the database gets; raises TypeError or ValueError for what does not fit."""
        return value if value is None or self.write is None else self.write(value)

    def load(self, value: object) -> object:
        """Return what the record gets; raises TypeError or ValueError for what nobody stored."""
        return value if value is None or self.read is None else self.read(value)


def _is_plain(text: str) -> bool:
    return str.isascii(text) and "\\" not in text and "\x00" not in text


def _escape(found: re.Match[str]) -> str:
    return "\\\\" if found[0] == "\\" else f"\\u{ord(found[0]):04x}"


def _unescape(found: re.Match[str]) -> str:
    return "\\" if found[1] is None else chr(int(found[1], 16))


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} where true or false is expected")
    return value


NAME = Kind("VARCHAR")
"""Text without surprises: names, times, digests."""

TEXT = Kind("TEXT")

INTEGER = Kind("BIGINT")

BOOLEAN = Kind("BOOLEAN", _truth, bool)

ANY_TEXT = Kind(
    "TEXT",
    lambda text: text if _is_plain(text) else re.sub(_UNSTORABLE, _escape, text),
    lambda text: text if _is_plain(text) else re.sub(_ESCAPED, _unescape, text),
)
r"""Any text of Python: a backslash is kept as `\\`, what no database stores as `\uNNNN`.

That concerns NUL and the surrogate escapes of paths that are not UTF-8.
"""

BINARY = Kind("BLOB", b64decode, lambda raw: b64encode(raw).decode())
"""Raw bytes in the database, base64 in the record."""

JSON = Kind("TEXT", lambda value: canonical_json(value).decode(), json.loads)
"""A JSON value as canonical text; also numbers that may need 64 bits without a sign."""
