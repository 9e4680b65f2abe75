"""Which names of a version a local file system can show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.core.columns import content_of
from dataguard.errors import ConflictError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["check_mountable", "refuse_unmountable", "why_unmountable"]

_LONGEST = 255
_NO_NAMES = frozenset({b"", b".", b".."})


def why_unmountable(path: bytes) -> str | None:
    """Return why no file can have this path below a directory, or None.

    Only keys of object stores can be such: `a//b`, `a/../b`, `a/`.
    """
    if b"\0" in path:
        return "it holds a NUL"
    for name in path.split(b"/"):
        if name in _NO_NAMES:
            return f"`{name.decode()}` is no name of a file"
        if len(name) > _LONGEST:
            return f"a name in it is longer than {_LONGEST} bytes"
    return None


def check_mountable(paths: pa.Array) -> list[bytes]:
    """Return paths as a list, all of which a local file system can have.

    Raises:
        ConflictError: one cannot be a file's path.
    """
    found: list[bytes] = paths.to_pylist()
    joined = bytes(content_of(paths))
    odd = b"\0" in joined or b"//" in joined or b"./" in joined
    for path in found:
        if odd or len(path) > _LONGEST or path[:1] in b"/" or path[-1:] in b"/.":
            refuse_unmountable(path, why_unmountable(path))
    return found


def refuse_unmountable(path: bytes, reason: str | None) -> None:
    """Refuse a version with a name that no local file system can show, if there is a reason.

    Raises:
        ConflictError: there is one.
    """
    if reason is not None:
        shown = path.decode("utf-8", "backslashreplace")
        raise ConflictError(
            f"`{shown}` cannot be mounted: {reason}",
            hint="read it by its key, with gold:// or with fsspec",
        )
