"""What a job left in the layer over gold: read from the layer itself, never through the overlay.

A character device 0:0 says that a name was removed, the attribute `overlay.opaque` that a directory
hides what gold has there, and `overlay.origin` that a file came from gold. Everything else is what
it looks like, since overlays are mounted without redirects and files without data. See the kernel's
Documentation/filesystems/overlayfs.rst.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass
from dataguard.model.diversion import DivertedKind
from dataguard.stores.descent import Descent
from dataguard.stores.layers import open_up
from dataguard.stores.obstacles import unreadable
from dataguard.stores.origins import with_origins
from dataguard.stores.twins import differences, has_mark, opened, same_content

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.model.entry import Unreadable
    from dataguard.stores.twins import Marks

__all__ = ["Change", "Survey", "survey"]

_WHITEOUT = os.makedev(0, 0)
_NO_DIRECTORY = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


@dataclass(frozen=True, slots=True)
class Change:
    """One change, at a path of gold; `inode` is that of the file in the layer."""

    path: bytes
    kind: DivertedKind
    entry: str
    size: int | None = None
    inode: int | None = None
    origin: bytes | None = None
    detail: str = ""

    @property
    def is_kept(self) -> bool:
        """Whether the layer has something that gold has not."""
        if self.entry == "d":
            return self.kind is DivertedKind.NEW
        lost = (DivertedKind.DELETED, DivertedKind.METADATA)
        return self.kind not in lost and self.entry in ("f", "l")


@dataclass(frozen=True, slots=True)
class Survey:
    """All changes in order of their paths, and what could not be looked at."""

    changes: tuple[Change, ...]
    unreadable: tuple[Unreadable, ...]


def survey(upper: str, gold: str, marks: Marks) -> Survey:
    """Compare a layer, at a path without links, with the gold below it.

    Nothing is changed but permissions in the layer, where the job closed what it has.

    Raises:
        OSError: one of them is not there, or a link is on the way to the layer.
    """
    status = open_up(upper)
    with Descent(upper, exact=True) as above, Descent(gold) as below:
        walk = _Walk(above, below, marks)
        found = (*_of_root(status, above, below), *walk.changes())
        changes = sorted(found, key=lambda one: one.path)
        named = tuple(with_origins(changes, walk.unchanged, above, below))
    return Survey(named, tuple(walk.unreadable))


def _of_root(status: os.stat_result, above: Descent, below: Descent) -> Iterator[Change]:
    found = differences(above.root, below.root, status, os.fstat(below.root))
    if found:
        yield Change(b"", DivertedKind.METADATA, "d", detail=found)


class _Walk:
    """A walk over a layer; `unchanged` are the paths of copies that equal gold, by their inode."""

    def __init__(self, above: Descent, below: Descent, marks: Marks) -> None:
        self.unreadable: list[Unreadable] = []
        self.unchanged: dict[int, bytes] = {}
        self._above, self._below, self._marks = above, below, marks
        self._pending: list[tuple[bytes, bool]] = [(b"", False)]

    def changes(self) -> Iterator[Change]:
        """Yield what the layer says, a directory before what is in it."""
        while self._pending:
            path, is_opaque = self._pending.pop()
            try:
                yield from self._directory(path, is_opaque=is_opaque)
            except OSError as err:
                self.unreadable.append(unreadable(path, err))

    def _directory(self, path: bytes, *, is_opaque: bool) -> Iterator[Change]:
        at = self._entered(path)
        names = sorted(os.fsencode(name) for name in os.listdir(at))
        for name in names:
            here = os.path.join(path, name) if path else name
            try:
                yield from self._entry(here, name, self._entered(path))
            except OSError as err:
                self.unreadable.append(unreadable(here, err))
        if is_opaque:
            yield from self._hidden(path, set(names))

    def _entry(self, path: bytes, name: bytes, at: int) -> Iterator[Change]:
        status = os.lstat(name, dir_fd=at)
        twin = self._twin(path)
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == _WHITEOUT:
            if twin is not None:
                yield Change(path, DivertedKind.DELETED, _letter(twin.st_mode), twin.st_size)
        elif stat.S_ISDIR(status.st_mode):
            yield from self._child(path, status, twin)
        else:
            yield from self._file(path, status, twin)

    def _child(
        self, path: bytes, status: os.stat_result, twin: os.stat_result | None
    ) -> Iterator[Change]:
        made = self._entered(path)
        is_opaque = has_mark(made, "opaque", self._marks)
        self._pending.append((path, is_opaque and twin is not None))
        if twin is None:
            yield Change(path, DivertedKind.NEW, "d")
        elif is_opaque or not stat.S_ISDIR(twin.st_mode):
            yield Change(path, DivertedKind.REPLACED, "d")
        else:
            found = differences(made, self._below.open(path), status, twin)
            if found:
                yield Change(path, DivertedKind.METADATA, "d", detail=found)

    def _file(
        self, path: bytes, status: os.stat_result, twin: os.stat_result | None
    ) -> Iterator[Change]:
        letter = _letter(status.st_mode)
        size = status.st_size if letter in "fl" else None
        change = Change(path, DivertedKind.NEW, letter, size, status.st_ino)
        if twin is None:
            copied = letter == "f" and self._is_copy(path)
            yield replace(change, kind=DivertedKind.RENAMED) if copied else change
        elif stat.S_IFMT(twin.st_mode) != stat.S_IFMT(status.st_mode):
            yield replace(change, kind=DivertedKind.REPLACED)
        else:
            found = self._compared(path, status, twin)
            if found is None:
                yield replace(change, kind=DivertedKind.MODIFIED)
            elif found:
                yield replace(change, kind=DivertedKind.METADATA, detail=found)
            else:
                self.unchanged[status.st_ino] = path

    def _compared(self, path: bytes, status: os.stat_result, twin: os.stat_result) -> str | None:
        """Return what of the metadata differs, in words; None where the content does."""
        parent, _, name = path.rpartition(b"/")
        if status.st_size != twin.st_size:
            return None
        if stat.S_ISLNK(status.st_mode):
            before = os.readlink(name, dir_fd=self._below.open(parent))
            if before != os.readlink(name, dir_fd=self._entered(parent)):
                return None
            return differences(None, None, status, twin)
        if not stat.S_ISREG(status.st_mode):
            return differences(None, None, status, twin)
        with (
            opened(name, self._entered(parent), is_own=True) as copy,
            opened(name, self._below.open(parent)) as original,
        ):
            if not same_content(copy, original):
                return None
            return differences(copy, original, status, twin)

    def _hidden(self, path: bytes, there: set[bytes]) -> Iterator[Change]:
        """Yield what gold has in a directory that was made anew without it."""
        try:
            names = sorted(os.fsencode(name) for name in os.listdir(self._below.open(path)))
        except OSError as err:
            if err.errno in _NO_DIRECTORY:
                return  # a file was there
            raise
        for name in names:
            if name not in there:
                here = os.path.join(path, name)
                twin = self._twin(here)
                if twin is not None:
                    yield Change(here, DivertedKind.DELETED, _letter(twin.st_mode), twin.st_size)

    def _is_copy(self, path: bytes) -> bool:
        parent, _, name = path.rpartition(b"/")
        with opened(name, self._entered(parent), is_own=True) as file:
            return has_mark(file, "origin", self._marks)

    def _twin(self, path: bytes) -> os.stat_result | None:
        parent, _, name = path.rpartition(b"/")
        try:
            return os.lstat(name, dir_fd=self._below.open(parent))
        except OSError as err:
            if err.errno in _NO_DIRECTORY:
                return None
            raise

    def _entered(self, path: bytes) -> int:
        """Return a descriptor of a directory of the layer, also where the job closed it."""
        try:
            return self._above.open(path)
        except PermissionError:
            parent, _, name = path.rpartition(b"/")
            at = self._entered(parent)
            mode = stat.S_IMODE(os.lstat(name, dir_fd=at).st_mode)
            os.chmod(name, mode | stat.S_IRWXU, dir_fd=at)
            return self._above.open(path)


def _letter(mode: int) -> str:
    kinds = {stat.S_IFREG: "f", stat.S_IFLNK: "l", stat.S_IFDIR: "d"}
    return kinds.get(stat.S_IFMT(mode), "other")
