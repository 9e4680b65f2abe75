"""The way through all directories below one, on descriptors, however deep they are."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Visitor", "descend", "exhaust", "open_directory"]

K = TypeVar("K")
_HELD = 64
"""Levels whose descriptors stay open on the way down; deeper ones are found again by `..`."""

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Visitor(Protocol[K]):
    """What is done at each directory; keys are whatever the visitor calls a directory."""

    def enter(self, parent: K, name: bytes, descriptor: int) -> K | None:
        """Return the key of a directory that was opened, or None to leave out what is in it.

        It is listed after this returned, so that what comes later is told by events.
        """

    def entries(self, key: K, descriptor: int) -> list[bytes]:
        """List an open directory, and return the names of the directories in it.

        Raises:
            OSError: it cannot be listed.
        """

    def unreadable(self, parent: K, name: bytes, error: OSError) -> None:
        """Be told of a directory that cannot be looked at."""


@dataclass(slots=True)
class _Level(Generic[K]):
    key: K
    name: bytes
    descriptor: int
    identity: tuple[int, int]
    names: list[bytes]


def descend(visitor: Visitor[K], key: K, descriptor: int) -> Iterator[None]:
    """Visit everything below an open directory, which the visitor knows as `key` already.

    Yields after each directory, so that it can be done in turns, or given up. Iterative, and no
    path is ever put together. The descriptor stays open and is the caller's.

    Raises:
        OSError: the directory itself cannot be listed.
    """
    levels = [_level(visitor, key, b"", os.dup(descriptor))]
    try:
        while levels:
            top = levels[-1]
            if top.names:
                _go_down(visitor, levels)
                yield
            else:
                _go_up(visitor, levels)
    finally:
        for level in levels:
            if level.descriptor >= 0:
                os.close(level.descriptor)


def exhaust(turns: Iterator[None]) -> None:
    """Go on to the end."""
    for _ in turns:
        pass


def open_directory(name: bytes, *, at: int | None = None) -> int:
    """Open a directory to list it; never a link, and without touching its access time if allowed.

    Raises:
        OSError: it is not there, no directory, or may not be read.
    """
    try:
        return os.open(name, _FLAGS | os.O_NOATIME, dir_fd=at)
    except PermissionError:
        return os.open(name, _FLAGS, dir_fd=at)


def _level(visitor: Visitor[K], key: K, name: bytes, descriptor: int) -> _Level[K]:
    try:
        status = os.fstat(descriptor)
        names = visitor.entries(key, descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return _Level(key, name, descriptor, (status.st_dev, status.st_ino), names)


def _go_down(visitor: Visitor[K], levels: list[_Level[K]]) -> None:
    top = levels[-1]
    name = top.names.pop()
    try:
        descriptor = open_directory(name, at=top.descriptor)
    except OSError as err:
        if err.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):  # else: gone meanwhile
            visitor.unreadable(top.key, name, err)
        return
    key = visitor.enter(top.key, name, descriptor)
    if key is None:
        os.close(descriptor)
        return
    try:
        levels.append(_level(visitor, key, name, descriptor))
    except OSError as err:
        visitor.unreadable(top.key, name, err)
        return
    if len(levels) > _HELD:
        os.close(top.descriptor)
        top.descriptor = -1


def _go_up(visitor: Visitor[K], levels: list[_Level[K]]) -> None:
    done = levels.pop()
    try:
        if levels and levels[-1].descriptor < 0:
            _find_again(visitor, levels, done)
    finally:
        os.close(done.descriptor)


def _find_again(visitor: Visitor[K], levels: list[_Level[K]], done: _Level[K]) -> None:
    """Open the parent by `..`; where the directory was moved meanwhile, that is another one."""
    above = levels[-1]
    found = os.open("..", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=done.descriptor)
    status = os.fstat(found)
    above.descriptor = found
    if (status.st_dev, status.st_ino) != above.identity:
        moved = OSError(errno.ESTALE, "moved while it was looked at")
        for name in above.names:
            visitor.unreadable(above.key, name, moved)
        above.names = []
        above.identity = (status.st_dev, status.st_ino)
