"""Tells of the entries of a directory which have to be read, by a sieve; stats, and opens nothing.

Imports little, since workers load it.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from dataguard.model.entry import Unreadable
from dataguard.stores.listing import special_of
from dataguard.stores.localunit import Leaf
from dataguard.stores.obstacles import unreadable
from dataguard.stores.sieve import SMALL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dataguard.stores.gathered import Gathered
    from dataguard.stores.localunit import Segment
    from dataguard.stores.sieve import Sieve

__all__ = ["Sifter", "Worth"]

_AFTER_NAMES = b"/" + b"\xff" * 256
"""What sorts after every name in a directory, and before all that follows the directory."""


class Worth(NamedTuple):
    """An entry to tell: to be read unless it is known, a link, or told for others."""

    name: bytes
    status: os.stat_result
    is_known: bool


class Sifter:
    """Sifts parts of a unit; files that are not worth a look are counted, and nothing else."""

    def __init__(self, sieve: Sieve, found: Gathered) -> None:
        self._sieve = sieve
        self._found = found

    def sift(self, part: Segment | Leaf, directory: int) -> list[Worth]:
        """Return of the entries in a part those that are worth a look, in order."""
        if isinstance(part, Leaf):
            return self._leaf(part, directory)
        return self._segment(part, directory)

    def _segment(self, part: Segment, directory: int) -> list[Worth]:
        prefix = part.directory + b"/" if part.directory else b""
        look, kept, sift = os.stat, [], self._worth
        passed = 0
        for name in part.names:
            try:
                status = look(name, dir_fd=directory, follow_symlinks=False)
            except OSError as err:
                self._found.unreadable.append(unreadable(prefix + name, err))
                continue
            one = sift(name, status)
            if one is not None:
                kept.append(one)
            elif stat.S_ISREG(status.st_mode):
                passed += 1
        self._found.passed += passed
        self._found.through = prefix + part.names[-1]
        return kept

    def _leaf(self, part: Leaf, directory: int) -> list[Worth]:
        try:
            with os.scandir(directory) as items:
                kept = self._listed(part, items)
        except OSError as err:
            self._found.unreadable.append(unreadable(part.directory, err))
            return []
        self._found.through = part.directory + _AFTER_NAMES
        return kept

    def _listed(self, part: Leaf, items: Iterable[os.DirEntry[str]]) -> list[Worth]:
        """Look at each entry once: names are bytes only where they are told."""
        small, has_large = self._sieve.small, self._sieve.has_large
        knows, told, kept, passed = self._sieve.knows, self._sieve.told, [], 0
        problems: list[Unreadable] = []
        for item in items:
            try:
                if item.is_file(follow_symlinks=False):
                    status = item.stat(follow_symlinks=False)
                    size = status.st_size
                    if small[size] if size < SMALL else has_large(size):
                        kept.append(Worth(os.fsencode(item.name), status, knows(status)))
                    elif size >= told:
                        kept.append(Worth(os.fsencode(item.name), status, is_known=True))
                    else:
                        passed += 1
                elif item.is_symlink():
                    status = item.stat(follow_symlinks=False)
                    kept.append(Worth(os.fsencode(item.name), status, is_known=True))
                elif item.is_dir(follow_symlinks=False):
                    self._found.branches.append(part.directory)
                    return []
                else:
                    path = part.directory + b"/" + os.fsencode(item.name)
                    problems.append(Unreadable(path, special_of(item), ""))
            except OSError as err:
                path = part.directory + b"/" + os.fsencode(item.name)
                problems.append(unreadable(path, err))
        self._found.passed += passed
        self._found.unreadable += problems
        kept.sort(key=_name)
        return kept

    def _worth(self, name: bytes, status: os.stat_result) -> Worth | None:
        if not stat.S_ISREG(status.st_mode):
            return Worth(name, status, is_known=True) if stat.S_ISLNK(status.st_mode) else None
        size, sieve = status.st_size, self._sieve
        if not (sieve.small[size] if size < SMALL else sieve.has_large(size)):
            return Worth(name, status, is_known=True) if size >= sieve.told else None
        return Worth(name, status, sieve.knows(status))


def _name(one: Worth) -> bytes:
    return one.name
