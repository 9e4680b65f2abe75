"""The walk over a local tree: every path in bytewise order, on directory descriptors."""

from __future__ import annotations

import errno
import os
import stat
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from dataguard.model.entry import Obstacle, Unreadable
from dataguard.model.span import WHOLE, Span
from dataguard.stores.descent import Descent

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Exclusion", "Segment", "obstacle_of", "walk"]

Exclusion = Callable[[bytes, bool], bool]
"""Whether a path, which is a directory or not, is left out with everything below it."""

_NAMES_PER_SEGMENT = 512
_ENCODING = sys.getfilesystemencoding()
_NOTHING = Span(b"", b"")


class Segment(NamedTuple):
    """Neighbouring non-directories and empty directories of one directory, in path order."""

    directory: bytes
    names: tuple[bytes, ...]


def walk(
    root: str, excluded: Exclusion | None = None, span: Span = WHOLE
) -> Iterator[Segment | Unreadable]:
    """Yield all in a span below `root` that `excluded(path, is_directory)` does not take out.

    Iterative, follows no link, opens nothing but directories. What cannot be listed and what is
    neither file, directory nor symlink comes as `Unreadable` at its place in the order. A
    directory with nothing left in it is an entry of its own.

    No directory is listed that lies outside the span with all its content. One that cannot be
    listed comes with every span that may hold its path or something below it.

    Raises:
        OSError: the root itself cannot be listed.
    """
    with Descent(root) as descent:
        lister = _Lister(descent, excluded)
        stack = [_Frame(b"", lister.list(b"", span), span)]
        while stack:
            frame = stack[-1]
            child = frame.next_break()
            if child is None:
                yield from frame.run(len(frame.listing.plain))
                stack.pop()
            elif child.special is not None:
                yield from frame.run(child.position)
                yield Unreadable(frame.path(child.name), child.special, "")
            else:
                yield from _enter(child, frame, stack, lister)


def obstacle_of(err: OSError) -> Obstacle:
    """Return what an error of the kernel says about a path that was listed a moment ago."""
    if err.errno in (errno.EACCES, errno.EPERM):
        return Obstacle.DENIED
    if err.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR):
        return Obstacle.VANISHED
    return Obstacle.IO_ERROR


def _enter(
    child: _Break, frame: _Frame, stack: list[_Frame], lister: _Lister
) -> Iterator[Segment | Unreadable]:
    path = frame.path(child.name)
    span = frame.span.below(child.name) if frame.span.may_hold(child.name) else _NOTHING
    try:
        listing = lister.list(path, span)
    except OSError as err:
        yield from frame.run(child.position)
        yield Unreadable(path, obstacle_of(err), os.strerror(err.errno or 0))
        return
    if child.sorted_as_empty is not None and child.sorted_as_empty != listing.is_empty:
        yield from frame.run(child.position)
        yield Unreadable(path, Obstacle.UNSTABLE, "directory changed while being listed")
    elif not listing.is_empty:
        yield from frame.run(child.position)
        stack.append(_Frame(path, listing, span))
    elif frame.span.contains(child.name):
        yield from frame.run(child.position, also=child.name)


@dataclass(slots=True)
class _Break:
    """A directory or special file, which interrupts the run of plain names.

    `position` counts the plain names before it. `sorted_as_empty` is None where the order does
    not depend on whether the directory is empty.
    """

    name: bytes
    position: int = 0
    special: Obstacle | None = None
    sorted_as_empty: bool | None = None


@dataclass(frozen=True, slots=True)
class _Listing:
    """One directory in path order: plain names, and what stands between them.

    Both only as far as they lie in the span; `is_empty` is about the whole directory.
    """

    plain: list[bytes]
    breaks: list[_Break]
    is_empty: bool


@dataclass(slots=True)
class _Frame:
    """A directory on the way: how far its plain names and its breaks have been taken."""

    directory: bytes
    listing: _Listing
    span: Span  # of the names in it
    taken: int = 0
    broken: int = 0

    def path(self, name: bytes) -> bytes:
        return self.directory + b"/" + name if self.directory else name

    def next_break(self) -> _Break | None:
        if self.broken == len(self.listing.breaks):
            return None
        self.broken += 1
        return self.listing.breaks[self.broken - 1]

    def run(self, stop: int, also: bytes | None = None) -> Iterator[Segment]:
        """Yield the plain names up to a position, and an empty directory that follows them."""
        names = self.listing.plain[self.taken : stop]
        self.taken = stop
        if also is not None:
            names.append(also)
        for start in range(0, len(names), _NAMES_PER_SEGMENT):
            yield Segment(self.directory, tuple(names[start : start + _NAMES_PER_SEGMENT]))


class _Lister:
    """Lists one directory in path order."""

    def __init__(self, descent: Descent, excluded: Exclusion | None) -> None:
        self._descent = descent
        self._excluded = excluded

    def list(self, directory: bytes, span: Span) -> _Listing:
        """Return what is in a directory and in a span of paths relative to it.

        Raises:
            OSError: it cannot be listed.
        """
        listing = self._scan(directory)
        if span != WHOLE:
            listing = _pruned(listing, span)
        listing.plain.sort()
        if listing.breaks:
            self._place(directory, listing)
        return listing

    def _place(self, directory: bytes, listing: _Listing) -> None:
        """Sort the breaks and find their places among the plain names.

        Bytewise order over full paths puts `a-b` between an empty `a` and `a/x`: only where a
        sibling could fall in between must it be known now whether a directory is empty.
        """
        plain, breaks = listing.plain, listing.breaks
        names = sorted([one.name for one in breaks])
        prefix = directory + b"/" if directory else b""
        for one in breaks:
            if one.special is None and any(_follows(one.name, s) for s in (names, plain)):
                self._look_inside(one, prefix + one.name)
        breaks.sort(key=_key)
        for one in breaks:
            one.position = bisect_left(plain, _key(one))

    def _look_inside(self, one: _Break, path: bytes) -> None:
        try:
            one.sorted_as_empty = self._scan(path).is_empty
        except OSError as err:  # its place in the order stays unknown, so it is not visited
            one.special = obstacle_of(err)

    def _scan(self, directory: bytes) -> _Listing:
        plain: list[bytes] = []
        breaks: list[_Break] = []
        with os.scandir(self._descent.open(directory)) as items:
            for item in self._kept(directory, items):
                name = item.name.encode(_ENCODING, "surrogateescape")
                if item.is_file(follow_symlinks=False) or item.is_symlink():
                    plain.append(name)
                elif item.is_dir(follow_symlinks=False):
                    breaks.append(_Break(name))
                else:
                    breaks.append(_Break(name, special=_special(item)))
        return _Listing(plain, breaks, is_empty=not (plain or breaks))

    def _kept(
        self, directory: bytes, items: Iterator[os.DirEntry[str]]
    ) -> Iterator[os.DirEntry[str]]:
        excluded = self._excluded
        if excluded is None:
            return items
        prefix = directory + b"/" if directory else b""
        return (
            item
            for item in items
            if not excluded(prefix + os.fsencode(item.name), item.is_dir(follow_symlinks=False))
        )


def _pruned(listing: _Listing, span: Span) -> _Listing:
    """Leave what lies in the span, and directories below which something may."""
    plain = [name for name in listing.plain if span.contains(name)]
    breaks = [one for one in listing.breaks if span.contains(one.name) or _may_hold(one, span)]
    return _Listing(plain, breaks, listing.is_empty)


def _may_hold(one: _Break, span: Span) -> bool:
    return one.special is None and span.may_hold(one.name)


def _follows(name: bytes, ordered: list[bytes]) -> bool:
    """Whether one of these names sorts between an empty directory `name` and `name/`."""
    at = bisect_right(ordered, name)
    return at < len(ordered) and name < ordered[at] < name + b"/"


def _key(one: _Break) -> bytes:
    return one.name + b"/" if one.sorted_as_empty is False else one.name


def _special(item: os.DirEntry[str]) -> Obstacle:
    """Return what a listed thing is that is neither file, directory nor symlink."""
    try:
        mode = item.stat(follow_symlinks=False).st_mode
    except OSError as err:
        return obstacle_of(err)
    if stat.S_ISFIFO(mode):
        return Obstacle.FIFO
    if stat.S_ISSOCK(mode):
        return Obstacle.SOCKET
    return Obstacle.DEVICE if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) else Obstacle.UNSTABLE
