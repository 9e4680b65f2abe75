"""Paths inside a dataset: bytewise order, text forms that cannot be forged, containment."""

from __future__ import annotations

import posixpath
from base64 import b64encode

__all__ = ["display", "escape", "is_inside", "json_fields", "leaves_root"]


_QUOTED = frozenset(" \"'")


def escape(text: str) -> str:
    r"""Escape backslashes and everything unprintable, so that one line stays one line.

    Undecodable bytes (surrogate escapes) come out as `\xNN`; two different names never give the
    same text.
    """
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(c if c.isprintable() and c != "\\" else _escaped(c) for c in text)


def display(path: bytes) -> str:
    """Show a path as one token: quoted where white space, quotes or escapes are in it."""
    text = path.decode("utf-8", "surrogateescape")
    escaped = escape(text)
    # All other white space is not printable, and was escaped.
    if escaped == text and text and _QUOTED.isdisjoint(text):
        return text
    return '"' + escaped.replace('"', '\\"') + '"'


def json_fields(path: bytes, name: str = "path") -> dict[str, str]:
    r"""Return the path as JSON text, with `<name>_b64` where it is not UTF-8 (then `\xNN`)."""
    try:
        return {name: path.decode()}
    except UnicodeDecodeError:
        text = path.decode("utf-8", "backslashreplace")
        return {name: text, f"{name}_b64": b64encode(path).decode()}


def is_inside(path: str, ancestor: str) -> bool:
    """Whether `path` is `ancestor` or below it; both absolute and free of `..` and links."""
    return path == ancestor or path.startswith(ancestor.rstrip("/") + "/")


def leaves_root(path: bytes, target: bytes) -> bool:
    """Whether a symlink at `path` points out of its root, by the words of its target alone."""
    if target.startswith(b"/"):
        return True
    joined = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return joined == b".." or joined.startswith(b"../")


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # an undecodable byte, see PEP 383
        return f"\\x{ord(character) - 0xDC00:02x}"
    if character == "\\":
        return "\\\\"
    if "\x80" <= character <= "\xff":  # `\xNN` would read like an undecodable byte
        return f"\\u{ord(character):04x}"
    return character.encode("unicode_escape").decode("ascii")
