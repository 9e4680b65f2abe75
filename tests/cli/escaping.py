"""Takes paths back out of text output: the inverse of what the reports print."""

from __future__ import annotations

import re

__all__ = ["TOKEN", "raw_path"]

TOKEN = r'(?:"(?:[^"\\]|\\.)*"|[^\s"\']+)'
"""One displayed path, as a pattern."""

_ESCAPE = re.compile(r"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|.)")
_SHORT = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"'}


def raw_path(token):
    r"""Return the bytes of a displayed path: `\xNN` is a byte, `\uNNNN` a character."""
    text = token[1:-1] if token.startswith('"') else token
    return _ESCAPE.sub(_character, text).encode("utf-8", "surrogateescape")


def _character(found):
    code = found[1]
    if code[0] == "x":
        number = int(code[1:], 16)
        return chr(number) if number < 0x80 else chr(0xDC00 + number)
    return _SHORT[code] if code in _SHORT else chr(int(code[1:], 16))
