"""Column types that take whatever a record may hold, in any database."""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING

from sqlalchemy import LargeBinary, Text, TypeDecorator

from dataguard.core.chain import canonical_json

if TYPE_CHECKING:
    from sqlalchemy import Dialect

__all__ = ["AnyText", "Binary", "Json"]

_UNSTORABLE = re.compile("[\\\\\x00\ud800-\udfff]")
_ESCAPED = re.compile(r"\\(?:\\|u([0-9a-f]{4}))")


class AnyText(TypeDecorator[str]):
    r"""Any text of Python: a backslash is kept as `\\`, what no database stores as `\uNNNN`.

    That concerns NUL and the surrogate escapes of paths that are not UTF-8.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Escape on the way in."""
        del dialect
        return None if value is None else _UNSTORABLE.sub(_escape, value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        """Unescape on the way out."""
        del dialect
        return None if value is None else _ESCAPED.sub(_unescape, value)


class Binary(TypeDecorator[str]):
    """Raw bytes in the database, base64 in the record."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        """Take base64."""
        del dialect
        return None if value is None else b64decode(value)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        """Give base64."""
        del dialect
        return None if value is None else b64encode(value).decode()


class Json(TypeDecorator[object]):
    """A JSON value as canonical text; also numbers that may need 64 bits without a sign."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: object, dialect: Dialect) -> str | None:
        """Write canonical JSON."""
        del dialect
        return None if value is None else canonical_json(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> object:
        """Read JSON."""
        del dialect
        return None if value is None else json.loads(value)


def _escape(found: re.Match[str]) -> str:
    return "\\\\" if found[0] == "\\" else f"\\u{ord(found[0]):04x}"


def _unescape(found: re.Match[str]) -> str:
    return "\\" if found[1] is None else chr(int(found[1], 16))
