"""The walk over a local tree: every path in bytewise order, on directory descriptors."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from dataguard.model.entry import Obstacle, Unreadable
from dataguard.stores.descent import Descent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Segment", "obstacle_of", "walk"]

_NAMES_PER_SEGMENT = 512


class Segment(NamedTuple):
    """Neighbouring non-directories and empty directories of one directory, in path order."""

    directory: bytes
    names: tuple[bytes, ...]


def walk(root: str, excluded: Callable[[bytes, bool], bool]) -> Iterator[Segment | Unreadable]:
    """Yield everything below `root` that `excluded(path, is_directory)` does not take out.

    Iterative, follows no link, opens nothing but directories. What cannot be listed and what is
    neither file, directory nor symlink comes as `Unreadable` at its place in the order. A
    directory with nothing left in it is an entry of its own.

    Raises:
        OSError: the root itself cannot be listed.
    """
    with Descent(root) as descent:
        lister = _Lister(descent, excluded)
        stack = [_Frame(b"", lister.children(b""))]
        while stack:
            frame = stack[-1]
            child = frame.next()
            if child is None:
                yield from frame.flush()
                stack.pop()
            elif child.special is not None:
                yield from frame.flush()
                yield Unreadable(child.path, child.special, "")
            elif not child.is_directory:
                yield from frame.add(child.name)
            else:
                yield from _enter(child, frame, stack, lister)


def _enter(
    child: _Child, frame: _Frame, stack: list[_Frame], lister: _Lister
) -> Iterator[Segment | Unreadable]:
    try:
        children = lister.children(child.path)
    except OSError as err:
        yield from frame.flush()
        yield Unreadable(child.path, obstacle_of(err), os.strerror(err.errno or 0))
        return
    if child.sorted_as_empty is not None and child.sorted_as_empty != (not children):
        yield from frame.flush()
        yield Unreadable(child.path, Obstacle.UNSTABLE, "directory changed while being listed")
    elif children:
        yield from frame.flush()
        stack.append(_Frame(child.path, children))
    else:
        yield from frame.add(child.name)


def obstacle_of(err: OSError) -> Obstacle:
    """Return what an error of the kernel says about a path that was listed a moment ago."""
    if err.errno in (errno.EACCES, errno.EPERM):
        return Obstacle.DENIED
    if err.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR):
        return Obstacle.VANISHED
    return Obstacle.IO_ERROR


@dataclass(slots=True)
class _Child:
    name: bytes
    path: bytes
    is_directory: bool
    special: Obstacle | None
    sorted_as_empty: bool | None = None


@dataclass(slots=True)
class _Frame:
    """A directory on the way: its children still to come and names not yielded yet."""

    directory: bytes
    children: list[_Child]
    names: list[bytes] = field(default_factory=list)
    position: int = 0

    def next(self) -> _Child | None:
        if self.position == len(self.children):
            return None
        self.position += 1
        return self.children[self.position - 1]

    def add(self, name: bytes) -> Iterator[Segment]:
        self.names.append(name)
        if len(self.names) == _NAMES_PER_SEGMENT:
            yield from self.flush()

    def flush(self) -> Iterator[Segment]:
        if self.names:
            yield Segment(self.directory, tuple(self.names))
            self.names.clear()


class _Lister:
    """Lists one directory in path order."""

    def __init__(self, descent: Descent, excluded: Callable[[bytes, bool], bool]) -> None:
        self._descent = descent
        self._excluded = excluded

    def children(self, directory: bytes) -> list[_Child]:
        found = sorted(self._scan(directory), key=lambda child: child.name)
        for child, following in pairwise(found):
            # Bytewise order over full paths puts `a-b` between an empty `a` and `a/x`: only where
            # a sibling could fall in between must it be known now whether the directory is empty.
            tail = following.name[len(child.name) : len(child.name) + 1]
            if child.is_directory and following.name.startswith(child.name) and tail < b"/":
                self._look_inside(child)
        if any(child.sorted_as_empty is False for child in found):
            found.sort(key=_with_slash)
        return found

    def _look_inside(self, child: _Child) -> None:
        try:
            child.sorted_as_empty = not self._scan(child.path)
        except OSError as err:  # its place in the order is not known, so it is not visited
            child.special = obstacle_of(err)

    def _scan(self, directory: bytes) -> list[_Child]:
        prefix = directory + b"/" if directory else b""
        children = []
        with os.scandir(self._descent.open(directory)) as listing:
            for item in listing:
                name = os.fsencode(item.name)
                is_directory = item.is_dir(follow_symlinks=False)
                if self._excluded(prefix + name, is_directory):
                    continue
                special = None
                if not (is_directory or item.is_file(follow_symlinks=False) or item.is_symlink()):
                    special = _special(item)
                children.append(_Child(name, prefix + name, is_directory, special))
        return children


def _with_slash(child: _Child) -> bytes:
    return child.name if child.sorted_as_empty is not False else child.name + b"/"


def _special(item: os.DirEntry[str]) -> Obstacle | None:
    """Return what a listed thing is that is neither file, directory nor symlink."""
    try:
        mode = item.stat(follow_symlinks=False).st_mode
    except OSError as err:
        return obstacle_of(err)
    if stat.S_ISREG(mode):
        return None
    if stat.S_ISFIFO(mode):
        return Obstacle.FIFO
    if stat.S_ISSOCK(mode):
        return Obstacle.SOCKET
    is_device = stat.S_ISCHR(mode) or stat.S_ISBLK(mode)
    return Obstacle.DEVICE if is_device else Obstacle.UNSTABLE
