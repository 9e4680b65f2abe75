"""The walk over a local tree: every path in bytewise order, on directory descriptors."""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.model.span import WHOLE, Span
from dataguard.stores.descent import Descent
from dataguard.stores.listing import listed
from dataguard.stores.localunit import Leaf, Segment
from dataguard.stores.obstacles import obstacle_of, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Exclusion", "walk"]

Exclusion = Callable[[bytes, bool], bool]
"""Whether a path, which is a directory or not, is left out with everything below it."""

_NAMES_PER_SEGMENT = 512
_NOTHING = Span(b"", b"")


_LEAF_LINKS = 2
"""Links of a directory without directories in it, its name and its `.`, where they are counted."""

_LEAF_BYTES = 1 << 16
"""A larger listing is taken apart, so that one directory keeps all cores busy."""


def walk(
    root: str, excluded: Exclusion | None = None, span: Span = WHOLE, *, leaves: bool = False
) -> Iterator[Segment | Leaf | Unreadable]:
    """Yield all in a span below `root` that `excluded(path, is_directory)` does not take out.

    Iterative, follows no link, opens nothing but directories. What cannot be listed and what is
    neither file, directory nor symlink comes as `Unreadable` at its place in the order. A
    directory with nothing left in it is an entry of its own.

    No directory is listed that lies outside the span with all its content. One that cannot be
    listed comes with every span that may hold its path or something below it.

    With `leaves` a small directory that lies in the span with all its content, and by its link
    count holds no directories, is not listed but named: for file systems that count these links.

    Raises:
        OSError: the root itself cannot be listed.
    """
    with Descent(root) as descent:
        lister = _Lister(descent, excluded, leaves=leaves and excluded is None)
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


def _enter(
    child: _Break, frame: _Frame, stack: list[_Frame], lister: _Lister
) -> Iterator[Segment | Leaf | Unreadable]:
    path = frame.path(child.name)
    leaf = lister.leaf(frame, child)
    if leaf is not None:
        yield from frame.run(child.position)
        yield leaf
        return
    span = frame.span.below(child.name) if frame.span.may_hold(child.name) else _NOTHING
    try:
        listing = lister.list(path, span)
    except OSError as err:
        yield from frame.run(child.position)
        yield unreadable(path, err)
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

    def __init__(self, descent: Descent, excluded: Exclusion | None, *, leaves: bool) -> None:
        self._descent = descent
        self._excluded = excluded
        self._leaves = leaves

    def leaf(self, frame: _Frame, child: _Break) -> Leaf | None:
        """Return a directory that need not be listed here, else None."""
        if not self._leaves or child.sorted_as_empty is not None or frame.span != WHOLE:
            return None
        try:
            parent = self._descent.open(frame.directory)
            status = os.stat(child.name, dir_fd=parent, follow_symlinks=False)
        except OSError:  # said when it is listed
            return None
        small = status.st_nlink == _LEAF_LINKS and status.st_size <= _LEAF_BYTES
        return Leaf(frame.path(child.name), status.st_size) if small else None

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
        with os.scandir(self._descent.open(directory)) as items:
            plain, directories, special = listed(self._kept(directory, items))
        breaks = [_Break(name) for name in directories]
        breaks += [_Break(name, special=obstacle) for name, obstacle in special]
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
