"""Files of gold that have other names, also outside: where a write to such a name lands."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from dataguard.core.numeric import np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["InodeIndex", "LinkedFiles"]

Name = tuple[bytes, bytes]
"""The key of a directory, and a name in it."""


class LinkedFiles:
    """Names in gold of files with several links, by the file's own key."""

    def __init__(self) -> None:
        self._names: dict[bytes, tuple[Name, ...]] = {}

    def __contains__(self, key: bytes) -> bool:
        return key in self._names

    def __len__(self) -> int:
        return len(self._names)

    def add(self, key: bytes, directory: bytes, name: bytes) -> None:
        """Learn a name of a file."""
        known = self._names.get(key, ())
        if (directory, name) not in known:
            self._names[key] = (*known, (directory, name))

    def remove(self, key: bytes, directory: bytes, name: bytes) -> None:
        """Forget a name of a file; without any it is no longer known."""
        kept = tuple(one for one in self._names.get(key, ()) if one != (directory, name))
        if kept:
            self._names[key] = kept
        else:
            self._names.pop(key, None)

    def names(self, key: bytes) -> tuple[Name, ...]:
        """Return the known names of a file."""
        return self._names.get(key, ())


class InodeIndex:
    """In which directories inode numbers were seen; 12 bytes a file, and no file is looked at.

    For files that get another link later: the kernel tells of the inode, not of gold's name.
    Numbers of several file systems may be mixed: what is found has to be looked at.
    """

    def __init__(self) -> None:
        self._numbers = array("Q")
        self._at = array("I")
        self._directories: list[bytes] = []
        self._sorted: tuple[NDArray[np.uint64], NDArray[np.uint32]] | None = None

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, directory: bytes, numbers: list[int]) -> None:
        """Learn which inode numbers a directory holds."""
        self._sorted = None  # its views would keep the arrays from growing
        self._at.extend([len(self._directories)] * len(numbers))
        self._numbers.extend(numbers)
        self._directories.append(directory)

    def replace(self, listed: dict[bytes, list[int]]) -> None:
        """Learn directories anew; what was known of them is forgotten."""
        if not listed:
            return
        numbers, at = self._order()
        old = [place for place, key in enumerate(self._directories) if key in listed]
        kept = ~np.isin(at, np.array(old, dtype=np.uint32))
        kept_numbers, kept_at = numbers[kept], at[kept]
        del numbers, at
        self._sorted = None
        self._numbers = array("Q", kept_numbers.tobytes())
        self._at = array("I", kept_at.tobytes())
        for place in old:
            self._directories[place] = b""  # nothing points there any more
        for directory, found in listed.items():
            self.add(directory, found)

    def find(self, number: int) -> Iterator[bytes]:
        """Yield the keys of directories that held an inode number."""
        numbers, at = self._order()
        wanted = np.uint64(number)
        first = int(np.searchsorted(numbers, wanted, side="left"))
        last = int(np.searchsorted(numbers, wanted, side="right"))
        for position in range(first, last):
            yield self._directories[int(at[position])]

    def _order(self) -> tuple[NDArray[np.uint64], NDArray[np.uint32]]:
        if self._sorted is None:
            numbers = np.frombuffer(self._numbers, dtype=np.uint64)
            at = np.frombuffer(self._at, dtype=np.uint32)
            order = np.argsort(numbers, kind="stable")
            # kept in this order in place of the order of arrival: no second copy of a million
            self._numbers = array("Q", numbers[order].tobytes())
            self._at = array("I", at[order].tobytes())
            self._sorted = (
                np.frombuffer(self._numbers, dtype=np.uint64),
                np.frombuffer(self._at, dtype=np.uint32),
            )
        return self._sorted
