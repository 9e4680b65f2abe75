"""The watches of inotify: one for each directory below the roots."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

from watchdog.observers.inotify_c import InotifyConstants as In

from dataguard.model.watch import ChangeKind, GapKind
from dataguard.watchers import inotifycalls as calls
from dataguard.watchers.descend import descend, exhaust, open_directory
from dataguard.watchers.directorytree import DirectoryTree, Place
from dataguard.watchers.rootguard import is_mount

if TYPE_CHECKING:
    from collections.abc import Callable

    from dataguard.watchers.outlet import Outlet

__all__ = ["MASK", "InotifyWatches", "place_in", "watch_reason"]

MASK = (In.IN_MODIFY | In.IN_ATTRIB | In.IN_CLOSE_WRITE | In.IN_CREATE | In.IN_DELETE) | (
    In.IN_MOVED_FROM | In.IN_MOVED_TO | In.IN_MOVE_SELF | In.IN_ONLYDIR
)
_DRAIN_EVERY = 512
_NAMED_GAPS = 20


class InotifyWatches:
    """Adds, finds and gives back watches; a visitor of directories.

    `drain` is called in between, so that the kernel's queue does not overflow meanwhile.
    `refused` counts by root the directories that have no watch.
    """

    def __init__(
        self, instance: int, outlet: Outlet, drain: Callable[[], None], *, crosses: bool = True
    ) -> None:
        self._mounts: set[int] | None = None if crosses else set()  # of roots: all we enter
        self.tree: DirectoryTree[int] = DirectoryTree()
        self.roots: dict[bytes, int] = {}
        self.refused: dict[bytes, int] = {}
        self._known_before = False  # whether the directory entered last had a watch already
        self._instance = instance
        self._outlet = outlet
        self._drain = drain

    def add_root(self, root: bytes) -> None:
        """Watch a root and all directories below it.

        Raises:
            OSError: it cannot be opened or watched.
        """
        directory = open_directory(root)
        try:
            watch = calls.add_watch(self._instance, directory, MASK)
            self.roots[root] = watch
            if self._mounts is not None:
                self._mounts.add(_mount_of(directory))
            self.tree.add_root(watch, root)
            exhaust(descend(self, watch, directory))
        finally:
            os.close(directory)

    def survey_again(self, message: str | None) -> None:
        """Look for directories without a watch; with a message each root gets a gap."""
        self.refused.clear()
        for root in self.tree.roots():
            with contextlib.suppress(OSError):  # the guard of the roots reports one that is gone
                self.add_root(root)
            if message is not None:
                self._outlet.gap(root, root, GapKind.OVERFLOW, message)

    def enter(self, parent: int, name: bytes, descriptor: int) -> int | None:
        """Watch a directory before it is listed: what comes later is an event."""
        try:
            if self._mounts is not None and _mount_of(descriptor) not in self._mounts:
                return None
            watch = calls.add_watch(self._instance, descriptor, MASK)
        except OSError as err:
            self.unreadable(parent, name, err)
            return None
        self._known_before = watch in self.tree
        self.tree.add(watch, parent, name)
        return watch

    def entries(self, key: int, descriptor: int) -> list[bytes]:
        """Return the directories in one; no file is looked at."""
        del key
        self._drain()
        self._outlet.beat()
        with os.scandir(descriptor) as items:
            return [os.fsencode(one.name) for one in items if one.is_dir(follow_symlinks=False)]

    def found(self, key: int, descriptor: int) -> list[bytes]:
        """Report all that is in a directory, and return the directories."""
        directories = []
        places = self.tree.places(key)
        with os.scandir(descriptor) as items:
            for number, item in enumerate(items):
                name, is_directory = os.fsencode(item.name), item.is_dir(follow_symlinks=False)
                if is_directory:
                    directories.append(name)
                for place in places:
                    kind = ChangeKind.CREATED
                    self._outlet.event(place_in(place, name), kind, is_directory=is_directory)
                if number % _DRAIN_EVERY == 0:
                    self._drain()
                    self._outlet.beat()
        return directories

    def unreadable(self, parent: int, name: bytes, error: OSError) -> None:
        """Report a directory without a watch; of many, the root.

        A mount that would be left out anyway is reported as that: one of an ordinary user's server
        may be opened by nobody else, not even by root.
        """
        kind = GapKind.LIMIT if error.errno == errno.ENOSPC else GapKind.UNREADABLE
        for place in self.tree.places(parent):
            root, path = place_in(place, name)
            reason = watch_reason(error)
            if self._mounts is not None and kind is GapKind.UNREADABLE and is_mount(path):
                message = f"{os.fsdecode(path)} not watched: {reason}"
                self._outlet.gap(root, path, GapKind.LEFT_OUT, message)
            else:
                self._refuse(root, path, kind, reason)

    def _refuse(self, root: bytes, path: bytes, kind: GapKind, reason: str) -> None:
        count = self.refused[root] = self.refused.get(root, 0) + 1
        path = path if count <= _NAMED_GAPS else root
        if count <= _NAMED_GAPS + 1:
            where = "more directories below " if count > _NAMED_GAPS else ""
            message = f"{where}{os.fsdecode(path)} not watched: {reason}"
            self._outlet.gap(root, path, kind, message)

    def forget(self, watch: int) -> None:
        """Give a watch back."""
        self.tree.discard(watch)
        calls.remove_watch(self._instance, watch)

    def drop_root(self, root: bytes) -> None:
        """Forget a root, and give the watches back that no other root needs."""
        self.tree.drop_root(root)
        self.refused.pop(root, None)
        watch = self.roots.pop(root, None)
        if watch is not None and not self.tree.places(watch):
            self.forget(watch)
        self.forget_homeless()

    def forget_homeless(self) -> None:
        """Give the watches of directories back that are below no root any more."""
        for orphan in self.tree.homeless():
            self.forget(orphan)

    def appeared(self, record: calls.Record, *, found: bool) -> int | None:
        """Watch a directory that is new here and all below it.

        With `found`, what is in it already is reported: it was made before the watch was. Returns
        the watch if it was there before: then it tells of the directory's move itself.
        """
        directory = self._open(record)
        if directory is None:
            return None
        try:
            watch = self.enter(record.watch, record.name, directory)
            moved = watch if self._known_before else None
            if watch is not None:
                visitor = _Found(self) if found else self
                exhaust(descend(visitor, watch, directory))
        except OSError as err:
            self.unreadable(record.watch, record.name, err)
            return None
        finally:
            os.close(directory)
        return moved

    def _open(self, record: calls.Record) -> int | None:
        """Open what a record names, one directory after the other; None where it is gone."""
        place = self.tree.places(record.watch)[0]
        root, path = place_in(place, record.name)
        try:
            at = open_directory(root)
        except OSError:
            return None
        for name in path[len(root) :].split(b"/"):
            if name:
                try:
                    below = open_directory(name, at=at)
                except OSError as err:
                    if err.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                        self.unreadable(record.watch, record.name, err)
                    return None
                finally:
                    os.close(at)
                at = below
        return at


class _Found:
    """A visitor that also reports every entry it comes across."""

    def __init__(self, watches: InotifyWatches) -> None:
        self._watches = watches

    def enter(self, parent: int, name: bytes, descriptor: int) -> int | None:
        """Watch a directory."""
        return self._watches.enter(parent, name, descriptor)

    def entries(self, key: int, descriptor: int) -> list[bytes]:
        """Report what is in a directory."""
        return self._watches.found(key, descriptor)

    def unreadable(self, parent: int, name: bytes, error: OSError) -> None:
        """Report a directory without a watch."""
        self._watches.unreadable(parent, name, error)


def _mount_of(descriptor: int) -> int:
    """Return the id of the mount by which a directory was opened (proc(5), fdinfo)."""
    with open(f"/proc/self/fdinfo/{descriptor}", encoding="ascii") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("mnt_id:"))


def place_in(place: Place, name: bytes) -> Place:
    """Return where a name in a directory is; the directory itself without one."""
    root, directory = place
    if not name:
        return place
    return root, (directory if directory != b"/" else b"") + b"/" + name


def watch_reason(error: OSError) -> str:
    """Return why a directory cannot be watched, in words."""
    if error.errno == errno.ENOSPC:
        return "no watch is left: raise fs.inotify.max_user_watches"
    return str(error.strerror)
