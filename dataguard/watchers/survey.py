"""What fanotify has to know of a tree before it can tell events of gold from those of others."""

from __future__ import annotations

import errno
import os
import struct
from typing import TYPE_CHECKING

from dataguard.model.watch import GapKind
from dataguard.watchers.descend import descend, exhaust, open_directory
from dataguard.watchers.directorytree import DirectoryTree
from dataguard.watchers.fanotifycalls import handle_of, open_handle
from dataguard.watchers.linkedfiles import InodeIndex, LinkedFiles
from dataguard.watchers.rootguard import is_mount

if TYPE_CHECKING:
    from collections.abc import Callable

    from dataguard.watchers.outlet import Outlet

__all__ = ["Survey"]

_FSID = struct.Struct("=II")
_FSID_BYTES = 8
_LOW = 0xFFFF_FFFF
_BEAT_EVERY = 4096


class Survey:
    """Handles of all directories below the roots, and of the files in them with several links.

    A key is what events carry: the file system's id and the handle. `mark` is told a directory on
    each file system that is come across. Without `crosses` what is mounted below a root is left
    out, and so are names of its files elsewhere: nobody asks for the files' other links.
    """

    def __init__(
        self, outlet: Outlet, mark: Callable[[int, int], None], *, crosses: bool = True
    ) -> None:
        self.crosses = crosses
        self.tree: DirectoryTree[bytes] = DirectoryTree()
        self.linked = LinkedFiles()
        self.inodes = InodeIndex()
        self._grown: set[bytes] = set()
        self._outlet = outlet
        self._mark = mark
        self._mounts: dict[bytes, tuple[int, bytes]] = {}  # of roots and mounts: id, fsid
        self._grounds: dict[bytes, bytes] = {}  # by fsid: a directory on it

    def add_root(self, root: bytes, descriptor: int) -> None:
        """Learn a root and all below it.

        Raises:
            OSError: its file system has no handles, or cannot be marked.
        """
        handle, mount = handle_of(b"", at=descriptor)
        self._mark(descriptor, mount)
        fsid = _fsid(descriptor)
        key = fsid + handle
        self._grounds.setdefault(fsid, root)
        self.tree.add_root(key, root)
        _Visit(self, mount, fsid).begin(key, descriptor)

    def add_directory(self, key: bytes, parent: bytes, name: bytes) -> None:
        """Learn a directory that appeared in a known one, and all below it."""
        self.tree.add(key, parent, name)
        descriptor = self.open(key, os.O_RDONLY | os.O_DIRECTORY)
        if descriptor is None:  # gone again
            return
        try:
            _, mount = handle_of(b"", at=descriptor)
            _Visit(self, mount, key[:_FSID_BYTES]).begin(key, descriptor)
        finally:
            os.close(descriptor)

    def open(self, key: bytes, flags: int) -> int | None:
        """Open what a key names, wherever it is now; None where it is gone."""
        ground = self._grounds.get(key[:_FSID_BYTES])
        if ground is None:
            return None
        try:
            mount = open_directory(ground)
        except OSError:
            return None
        try:
            return open_handle(mount, key[_FSID_BYTES:], flags)
        except OSError:
            return None
        finally:
            os.close(mount)

    def link_appeared(self, key: bytes) -> bool:
        """Look whether a file that got or lost a name is one of gold; learn its names there."""
        descriptor = self.open(key, os.O_PATH)
        if descriptor is None:
            return False
        try:
            status = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        if status.st_nlink > 1:
            self._list_grown()
            for directory in self.inodes.find(status.st_ino):
                self._learn_names(key, directory, status.st_ino)
        return key in self.linked

    def grew(self, directory: bytes) -> None:
        """Remember that a directory holds files that are in no index yet."""
        if self.crosses:
            self._grown.add(directory)

    def _list_grown(self) -> None:
        """Take the inode numbers of files that came since, now that somebody asks for one."""
        listed = {}
        for directory in self._grown:
            descriptor = self.open(directory, os.O_RDONLY | os.O_DIRECTORY)
            if descriptor is not None:
                try:
                    with os.scandir(descriptor) as items:
                        listed[directory] = [one.inode() for one in items]
                finally:
                    os.close(descriptor)
        self._grown.clear()
        self.inodes.replace(listed)

    def _learn_names(self, key: bytes, directory: bytes, number: int) -> None:
        descriptor = self.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        if descriptor is None:
            return
        try:
            with os.scandir(descriptor) as items:
                names = [os.fsencode(one.name) for one in items if one.inode() == number]
            for name in names:
                if handle_of(name, at=descriptor)[0] == key[_FSID_BYTES:]:
                    self.linked.add(key, directory, name)
        except OSError:  # changed meanwhile: its own events tell
            return
        finally:
            os.close(descriptor)

    def file_appeared(self, key: bytes, directory: bytes, name: bytes) -> None:
        """Learn a new name in a known directory; its file may have others."""
        if not self.crosses:
            return
        descriptor = self.open(key, os.O_PATH)
        if descriptor is None:
            return
        try:
            status = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        if status.st_nlink > 1:
            self.linked.add(key, directory, name)
        else:
            self.grew(directory)

    def key_of(self, descriptor: int) -> bytes:
        """Return the key of an open file or directory.

        Raises:
            OSError: its file system has no handles.
        """
        return _fsid(descriptor) + handle_of(b"", at=descriptor)[0]

    def cross(self, mount: int, descriptor: int) -> bytes:
        """Return the id of another file system that is mounted below a root, marked now.

        Raises:
            OSError: it cannot be marked.
        """
        self._mark(descriptor, mount)
        fsid = _fsid(descriptor)
        self._grounds.setdefault(fsid, os.readlink(b"/proc/self/fd/%d" % descriptor))
        return fsid

    def unseen(self, parent: bytes, name: bytes, error: OSError) -> None:
        """Report a directory that is not watched; a mount that would be left out anyway, as that.

        One of an ordinary user's server may be opened by nobody else, not even by root.
        """
        for root, directory in self.tree.places(parent):
            path = directory + b"/" + name
            left_out = not self.crosses and is_mount(path)
            kind = GapKind.LEFT_OUT if left_out else GapKind.UNREADABLE
            message = f"{os.fsdecode(path)} is not watched: {error.strerror}"
            self._outlet.gap(root, path, kind, message)

    def beat(self) -> None:
        """Say that work goes on."""
        self._outlet.beat()


class _Visit:
    """One descent, which knows by its mount when it comes to another file system."""

    def __init__(self, survey: Survey, mount: int, fsid: bytes) -> None:
        self._survey = survey
        self._fsids = {mount: fsid}
        self._refused: dict[int, OSError] = {}

    def begin(self, key: bytes, descriptor: int) -> None:
        exhaust(descend(self, key, descriptor))

    def enter(self, parent: bytes, name: bytes, descriptor: int) -> bytes | None:
        """Learn a directory."""
        try:
            handle, mount = handle_of(b"", at=descriptor)
            if mount not in self._fsids:
                if not self._survey.crosses:
                    return None
                self._fsids[mount] = self._survey.cross(mount, descriptor)
        except OSError as err:
            # The root has handles: what has none, such as an overlay, is mounted below it.
            if self._survey.crosses or err.errno != errno.EOPNOTSUPP:
                self._survey.unseen(parent, name, err)
            return None
        key = self._fsids[mount] + handle
        self._survey.tree.add(key, parent, name)
        return key

    def entries(self, key: bytes, descriptor: int) -> list[bytes]:
        """Learn the inode numbers of files, and the handles of those with several links."""
        directories: list[bytes] = []
        numbers: list[int] = []
        with os.scandir(descriptor) as items:
            for count, item in enumerate(items):
                if count % _BEAT_EVERY == 0:
                    self._survey.beat()
                if item.is_dir(follow_symlinks=False):
                    directories.append(os.fsencode(item.name))
                elif self._survey.crosses and item.is_file(follow_symlinks=False):
                    numbers.append(item.inode())
                    self._look_at_links(key, descriptor, item)
        self._survey.inodes.add(key, numbers)
        return directories

    def unreadable(self, parent: bytes, name: bytes, error: OSError) -> None:
        """Report what cannot be listed."""
        self._survey.unseen(parent, name, error)

    def _look_at_links(self, key: bytes, descriptor: int, item: os.DirEntry[str]) -> None:
        try:
            if item.stat(follow_symlinks=False).st_nlink > 1:
                name = os.fsencode(item.name)
                handle, _ = handle_of(name, at=descriptor)
                self._survey.linked.add(key[:_FSID_BYTES] + handle, key, name)
        except FileNotFoundError:  # gone meanwhile, which is an event
            return


def _fsid(descriptor: int) -> bytes:
    """Return a file system's id as events have it: two words in the order of statfs(2)."""
    number = os.fstatvfs(descriptor).f_fsid
    return _FSID.pack(number & _LOW, number >> 32 & _LOW)
