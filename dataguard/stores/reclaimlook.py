"""A look at a copy beside its original: nothing is read, nothing is changed."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING

from dataguard.core.extents import own_bytes
from dataguard.model.copies import FileState
from dataguard.model.reclaim import LinkTarget, SeenCopy
from dataguard.stores.exchange import exact_directory
from dataguard.stores.extents import can_share, extents
from dataguard.stores.flags import WITHOUT_FLAGS, is_immutable
from dataguard.stores.openfile import open_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "attributes_at",
    "link_target",
    "look",
    "opened",
    "state_of",
    "steps_to",
]

_BLOCK = 512  # stat(2): the unit of st_blocks

_EVERYWHERE = frozenset({"security.selinux", "security.SMACK64"})
"""Labels that the policy of the host gives every file."""


@contextlib.contextmanager
def opened(path: bytes) -> Iterator[tuple[int, int]]:
    """Hold a regular file and its directory, by an absolute path without links.

    Raises:
        OSError: it is gone, no regular file, or may not be read; ELOOP where a link is on the way.
    """
    parent, name = os.path.split(path)
    with exact_directory(parent) as directory:
        descriptor = open_file(name, directory)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.ENOENT, "it is no regular file")
            yield directory, descriptor
        finally:
            os.close(descriptor)


def look(path: bytes, original: bytes) -> SeenCopy:
    """Return what a copy and its original are now.

    Raises:
        OSError: one of them is gone, no regular file, or may not be read.
    """
    with opened(path) as (_, copy), opened(original) as (_, gold):
        own, shared = _blocks(copy)
        status, there = os.fstat(copy), os.fstat(gold)
        return SeenCopy(
            state=state_of(status),
            gid=status.st_gid,
            attributes=_attributes(copy),
            immutable=_has_flag(copy),
            is_original=(status.st_dev, status.st_ino) == (there.st_dev, there.st_ino),
            own=own,
            freed=max(status.st_blocks * _BLOCK - shared, 0),
            shareable=can_share(gold, copy),
        )


def state_of(status: os.stat_result) -> FileState:
    """Return what tells whether a file was touched."""
    return FileState(
        device=status.st_dev,
        inode=status.st_ino,
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        ctime_ns=status.st_ctime_ns,
        uid=status.st_uid,
        links=status.st_nlink,
        allocated=status.st_blocks * _BLOCK,
    )


def _attributes(descriptor: int) -> tuple[str, ...]:
    """Return the names of what a file has beside its mode: ACLs, capabilities, attributes."""
    return _names(lambda: os.listxattr(descriptor))


def attributes_at(name: bytes, directory: int) -> tuple[str, ...]:
    """Return the same of a name in an open directory that may be a link; empty: the directory's.

    Raises:
        OSError: it cannot be looked at.
    """
    if not name:
        return _attributes(directory)
    path = b"/proc/self/fd/%d/%s" % (directory, name)
    return _names(lambda: os.listxattr(path, follow_symlinks=False))


def _names(ask: Callable[[], list[str]]) -> tuple[str, ...]:
    try:
        names = ask()
    except OSError as err:
        if err.errno in (errno.EOPNOTSUPP, errno.ENOSYS):
            return ()
        raise
    return tuple(sorted(set(names) - _EVERYWHERE))


def steps_to(path: bytes) -> tuple[tuple[int, int, int], ...]:
    """Return mode, owner and group of each directory on the way to a file, and of the file.

    Raises:
        OSError: something on the way is not there.
    """
    parts = path.split(b"/")
    ways = (b"/".join(parts[: count + 1]) or b"/" for count in range(len(parts)))
    found = map(os.stat, ways)
    return tuple((status.st_mode, status.st_uid, status.st_gid) for status in found)


def link_target(path: bytes, *, readable: bool) -> LinkTarget | None:
    """Return what a link could lead to; None where no regular file is there."""
    try:
        found = os.stat(path)
    except OSError:  # the mount shows less than the version: nothing to lead to
        return None
    return LinkTarget(path, readable) if stat.S_ISREG(found.st_mode) else None


def _blocks(descriptor: int) -> tuple[int, int]:
    """Return the bytes of blocks that are the file's own, and of those that are shared."""
    size, block = os.fstat(descriptor).st_size, os.fstatvfs(descriptor).f_bsize
    try:
        found = list(extents(descriptor))
    except OSError as err:
        if err.errno not in (errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL):
            raise
        return os.fstat(descriptor).st_blocks * _BLOCK, 0  # where nothing is shared (tmpfs)
    return own_bytes(found, size, block), sum(one.length for one in found if one.shared)


def _has_flag(descriptor: int) -> bool:
    try:
        return is_immutable(descriptor)
    except OSError as err:
        if err.errno in WITHOUT_FLAGS:
            return False
        raise
