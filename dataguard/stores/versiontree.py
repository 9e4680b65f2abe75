"""A version as a tree: entries and directories looked up and listed, in memory that stays flat."""

from __future__ import annotations

import posixpath
from functools import lru_cache
from typing import TYPE_CHECKING

from dataguard.core.pathrows import PathRows
from dataguard.core.paths import leaves_root
from dataguard.model.entry import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.model.pinned import PinnedEntry
    from dataguard.stores.lookup import Lookup

__all__ = ["VersionTree"]

_KEPT = 16
"""Row groups in memory, about 6 MB each, 9 MB of objects: a million files, read in any order."""

_ROW_BITS = 32
"""A place is the number of a row in its group, behind that of the group."""

_HOPS = 40
"""Links followed before a path counts as looping, as the kernel does."""


class VersionTree:
    """The entries of a manifest by path; may be used by several threads and after a fork.

    All methods raise:
        CatalogDamagedError: manifest or sheet cannot be read any more.
    """

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        # Needs no lock of ours, which a fork could leave locked in the child.
        self._rows = lru_cache(_KEPT)(self._load)

    def entry(self, path: bytes) -> PinnedEntry | None:
        """Return the entry at exactly this path, None where there is none."""
        number = self._lookup.holding(path)
        if number < 0:
            return None
        rows = self._rows(number)
        row = rows.find(path)
        return None if row is None else rows.entry(row)

    def is_directory(self, path: bytes) -> bool:
        """Whether something is below a path, or it is an empty directory; the root is `b""`."""
        if not path:
            return True
        found = self.entry(path)
        if found is not None and found.kind is Kind.DIRECTORY:
            return True
        prefix = path + b"/"
        return next(self._walk(self._place(prefix), prefix), None) is not None

    def children(self, directory: bytes) -> Iterator[bytes | PinnedEntry]:
        """Yield what is in a directory, in path order: entries, and directories by their paths.

        What is below a directory is skipped, not read.
        """
        return (child for child, _ in self.children_from(directory))

    def children_from(
        self, directory: bytes, place: int = 0
    ) -> Iterator[tuple[bytes | PinnedEntry, int]]:
        """Yield the same from a place on, each with the place behind it; they grow, and 0 is first.

        Law: whoever goes on from the place behind a child gets what comes after that child.
        """
        prefix = directory + b"/" if directory else b""
        place = place or self._place(prefix)
        goes_on = True
        while goes_on:
            goes_on = False
            for rows, row, behind in self._walk(place, prefix):
                path = rows.path(row)
                cut = path.find(b"/", len(prefix))
                if cut < 0:
                    yield rows.entry(row), behind
                    continue
                # `0` follows `/`: the first path behind all below
                place, goes_on = self._place(path[:cut] + b"0"), True
                yield path[:cut], place
                break

    def below(self, directory: bytes) -> Iterator[PinnedEntry]:
        """Yield every entry below a directory, in path order."""
        prefix = directory + b"/" if directory else b""
        for rows, row, _ in self._walk(self._place(prefix), prefix):
            yield rows.entry(row)

    def bytes_below(self, directory: bytes) -> int:
        """Return what the regular files below a directory hold, added up."""
        if not directory:
            return sum(self._each_whole())
        first, end = directory + b"/", directory + b"0"
        total = 0
        for number in range(max(self._lookup.holding(first), 0), self._lookup.holding(end) + 1):
            rows = self._rows(number)
            total += rows.file_bytes(rows.first_from(first), rows.first_from(end))
        return total

    def followed(self, path: bytes) -> bytes | None:
        """Return where a path leads when links on it are followed; None out of the version.

        What is there need not exist. Only the words of links count, as the version has them.
        """
        for _ in range(_HOPS):
            link = self._first_link(path)
            if link is None:
                return path
            target = link.link_target or b""
            if leaves_root(link.path, target):
                return None
            joined = posixpath.join(posixpath.dirname(link.path), target)
            path = posixpath.normpath(joined + path[len(link.path) :])
            path = b"" if path == b"." else path
        return None

    def _first_link(self, path: bytes) -> PinnedEntry | None:
        at = 0
        while at >= 0:
            at = path.find(b"/", at + 1)
            found = self.entry(path if at < 0 else path[:at])
            if found is not None and found.kind is Kind.SYMLINK:
                return found
        return None

    def _each_whole(self) -> Iterator[int]:
        for number in range(self._lookup.groups):
            rows = PathRows(self._lookup.group(number))
            yield rows.file_bytes(0, rows.count)

    def _place(self, bound: bytes) -> int:
        """Return the place of the first row whose path is at least `bound`."""
        number = max(self._lookup.holding(bound), 0)
        if not self._lookup.groups:
            return 0
        return number << _ROW_BITS | self._rows(number).first_from(bound)

    def _walk(self, place: int, prefix: bytes) -> Iterator[tuple[PathRows, int, int]]:
        """Yield the rows from a place on that begin with a prefix, each with the place behind."""
        first, start = divmod(place, 1 << _ROW_BITS)
        for number in range(first, self._lookup.groups):
            rows = self._rows(number)
            for row in range(start, rows.count):
                if not rows.path(row).startswith(prefix):
                    return
                yield rows, row, number << _ROW_BITS | row + 1
            start = 0

    def _load(self, number: int) -> PathRows:
        return PathRows(self._lookup.group(number))
