"""The directories that a stream of paths goes through, in path order."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

__all__ = ["directories", "entered", "left", "parents"]


def entered(before: bytes | None, now: bytes) -> list[bytes]:
    """Return the directories that a walk in path order enters between two, outermost first.

    `before` is None at the start, when the root `b""` is entered too.
    """
    outer = [] if before is None else _chain(before)
    return [one for one in _chain(now) if one not in outer]


def left(before: bytes, now: bytes | None) -> list[bytes]:
    """Return the directories that a walk leaves for good, innermost first; None: the end."""
    inner = [] if now is None else _chain(now)
    return [one for one in reversed(_chain(before)) if one not in inner]


def parents(paths: pa.Array) -> list[bytes]:
    """Return the directories in which these paths lie, in the order of their first path."""
    import pyarrow.compute as pc  # noqa: PLC0415  only for seals: see `kernels`

    found = pc.replace_substring_regex(paths, r"(?s)/?[^/]*\z", "", max_replacements=1)
    return [bytes(value) for value in pc.unique(found).to_pylist()]


def directories(paths: Iterable[pa.Array]) -> Iterator[bytes]:
    """Yield every directory that holds one of the paths, the root too, each before its content.

    Takes arrays of paths that together are in path order.
    """
    before: bytes | None = None
    for part in paths:
        if not len(part):
            continue
        for parent in parents(part):
            yield from entered(before, parent)
            before = parent
        # Within a part each directory is named once: what is open at its end says the last path.
        before = part[len(part) - 1].as_py().rpartition(b"/")[0]
    if before is None:
        yield b""


def _chain(directory: bytes) -> list[bytes]:
    """Return a directory with all above it, from the root."""
    if not directory:
        return [b""]
    names = directory.split(b"/")
    return [b"", *(b"/".join(names[: i + 1]) for i in range(len(names)))]
