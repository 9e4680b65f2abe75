"""Files of which nothing differs but that the kernel says they were touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.core.align import differing_pairs
from dataguard.core.columns import kind_mask
from dataguard.core.verdicts import Difference
from dataguard.model.finding import Code

if TYPE_CHECKING:
    from collections.abc import Container

    from dataguard.core.align import Window

__all__ = ["touched"]

_COOKIE = ("ctime_ns", "inode")


def touched(window: Window, *, beside: Container[bytes]) -> list[Difference]:
    """Return the files whose change time or inode is not the baseline's, in path order.

    Every change of a file moves its ctime, and nobody can set it: attributes, access lists and
    flags, times put back, the same bytes written again. `beside` are paths of which something
    else is said already. The window must have a baseline that may be compared here.
    """
    files = kind_mask(window.right, "f")
    found = []
    for left, right in differing_pairs(window, _COOKIE):
        path: bytes = window.left_paths[left].as_py()
        if files[right] and path not in beside:
            found.append(_touch(window, path, left, right))
    return found


def _touch(window: Window, path: bytes, left: int, right: int) -> Difference:
    evidence = {
        name: {
            "expected": window.left.column(name)[left].as_py(),
            "observed": window.right.column(name)[right].as_py(),
        }
        for name in _COOKIE
    }
    message = "the content is the same, but the file was touched: attributes, flags or times"
    return Difference(Code.DG105, path, message, evidence)
