"""The names that files had in gold which a job renamed or linked."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.model.diversion import DivertedKind
from dataguard.stores.twins import opened, same_content

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dataguard.stores.descent import Descent
    from dataguard.stores.harvest import Change

__all__ = ["with_origins"]

_WITH_TWIN = (DivertedKind.MODIFIED, DivertedKind.METADATA)
_HEAD = 4096


def with_origins(
    changes: Sequence[Change], unchanged: Mapping[int, bytes], above: Descent, below: Descent
) -> Iterator[Change]:
    """Yield the changes with the names that renamed and linked files had, where these are known.

    A link shares its file with a copy that still has its name; what was renamed has the content of
    a file that is gone. Each of those is compared with files of its size that begin alike.
    """
    twins = {one.inode: one.path for one in changes if one.kind in _WITH_TWIN} | dict(unchanged)
    gone = _Gone(changes, above, below)
    for one in changes:
        if one.kind is not DivertedKind.RENAMED:
            yield one
        elif one.inode in twins:
            yield replace(one, kind=DivertedKind.LINKED, origin=twins[one.inode])
        else:
            yield replace(one, origin=gone.name_of(one))


class _Gone:
    """The files of gold that were removed; the name of each is taken by one file at most."""

    def __init__(self, changes: Sequence[Change], above: Descent, below: Descent) -> None:
        self._above, self._below = above, below
        self._taken: dict[int | None, bytes | None] = {}
        self._names: dict[tuple[int | None, bytes], list[bytes]] = {}
        sizes = {one.size for one in changes if one.kind is DivertedKind.RENAMED}
        for one in reversed(changes):
            if one.kind is DivertedKind.DELETED and one.entry == "f" and one.size in sizes:
                self._names.setdefault((one.size, _head(below, one.path)), []).append(one.path)

    def name_of(self, change: Change) -> bytes | None:
        """Return the name that a file had; all its links had the same."""
        if change.inode not in self._taken:
            self._taken[change.inode] = self._take(change)
        return self._taken[change.inode]

    def _take(self, change: Change) -> bytes | None:
        head = _head(self._above, change.path, is_own=True)
        names = self._names.get((change.size, head), [])
        for at in range(len(names) - 1, -1, -1):
            if self._is_equal(change.path, names[at]):
                return names.pop(at)
        return None

    def _is_equal(self, path: bytes, other: bytes) -> bool:
        parent, _, name = path.rpartition(b"/")
        elsewhere, _, original = other.rpartition(b"/")
        try:
            with (
                opened(name, self._above.open(parent), is_own=True) as copy,
                opened(original, self._below.open(elsewhere)) as before,
            ):
                return same_content(copy, before)
        except OSError:
            return False  # where it came from is not known then, and that is no loss


def _head(where: Descent, path: bytes, *, is_own: bool = False) -> bytes:
    """Return how a file begins; nothing where it cannot be read, which is found out again."""
    parent, _, name = path.rpartition(b"/")
    try:
        with opened(name, where.open(parent), is_own=is_own) as file:
            return os.pread(file, _HEAD, 0)
    except OSError:
        return b""
