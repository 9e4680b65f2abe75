"""A folder written anew from a version, with all that the list of a reclaim says was in it."""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from dataguard.stores.descent import Descent
from dataguard.stores.exchange import make_link
from dataguard.stores.filling import dress, drop_default_list, fill
from dataguard.stores.flags import sync_filesystem
from dataguard.stores.folderpairs import levels
from dataguard.stores.removal import remove_tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dataguard.model.reclaim import Replaced
    from dataguard.model.reclaimfolder import FolderEntry

__all__ = ["discard_folder", "write_folder"]

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OWN = 0o700


def write_folder(
    one: Replaced, source: bytes, directory: int, entries: Iterable[FolderEntry]
) -> int:
    """Write a folder under its temporary name from the files in `source`; returns its inode.

    Directories get their owner, mode and times when everything is in them.

    Raises:
        CatalogDamagedError: the list cannot be read.
        LeftAloneError: `source` has other bytes.
        OSError: something cannot be read or written.
    """
    os.mkdir(one.temporary, _OWN, dir_fd=directory)
    place = os.path.join(os.path.dirname(one.path), one.temporary)
    with Descent(place, exact=True) as tree:
        directories = []
        for entry in entries:
            if stat.S_ISDIR(entry.mode):
                directories.append(entry)
                _make_directory(tree, entry)
            else:
                _make(tree, entry, one, source)
        for entry in reversed(directories):
            dress(entry, tree.open(entry.path))
        sync_filesystem(tree.root)
        return os.fstat(tree.root).st_ino


def discard_folder(one: Replaced) -> None:
    """Remove what an undo wrote under the temporary name, as far as it can be.

    Raises:
        OSError: a directory in it cannot be opened.
    """
    place = os.path.join(os.path.dirname(one.path), one.temporary)
    with Descent(place, exact=True) as tree:
        for level in levels(tree):
            os.fchmod(level.at, _OWN)  # some may have their own modes already
    remove_tree(os.fsdecode(place))


def _make_directory(tree: Descent, entry: FolderEntry) -> None:
    if entry.path:
        parent, name = os.path.split(entry.path)
        os.mkdir(name, _OWN, dir_fd=tree.open(parent))
    drop_default_list(tree.open(entry.path))


def _make(tree: Descent, entry: FolderEntry, one: Replaced, source: bytes) -> None:
    parent, name = os.path.split(entry.path)
    if entry.first is not None:
        _link_again(tree, entry.first, entry.path)
        return
    at = tree.open(parent)
    if stat.S_ISLNK(entry.mode):
        make_link(at, name, entry.target, uid=entry.uid, gid=entry.gid)
        times = (entry.atime_ns, entry.mtime_ns)
        os.utime(name, ns=times, dir_fd=at, follow_symlinks=False)
        return
    with _created(name, at) as descriptor:
        fill(entry, os.path.join(source, entry.path), descriptor, one.algorithm)


def _link_again(tree: Descent, first: bytes, path: bytes) -> None:
    """Give a file that is there already one more of its names."""
    (above, name), (parent, other) = os.path.split(first), os.path.split(path)
    with ExitStack() as stack:
        at = os.dup(tree.open(above))  # the next call closes what this one returns
        stack.callback(os.close, at)
        there = tree.open(parent)
        os.link(name, other, src_dir_fd=at, dst_dir_fd=there, follow_symlinks=False)


@contextmanager
def _created(name: bytes, at: int) -> Iterator[int]:
    descriptor = os.open(name, _NEW, 0o600, dir_fd=at)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
