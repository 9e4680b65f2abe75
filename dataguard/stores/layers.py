"""The layers in which a routed job's writes land: directories beside the one of its run."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from dataguard.errors import ConflictError, NotFoundError, StoreUnreachableError
from dataguard.stores.descent import Descent
from dataguard.stores.flags import has_flag
from dataguard.stores.removal import remove_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "Layer",
    "Layers",
    "added_mode",
    "dress",
    "layers_place",
    "open_up",
]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_UPPER, _WORK = "upper", "work"
_COPIED = ("user.", "system.posix_acl_")
_MARKS = ("user.overlay.", "trusted.overlay.")


@dataclass(frozen=True, slots=True)
class Layer:
    """The layer of one input: `upper` takes the writes, `work` is the kernel's own."""

    upper: str
    work: str


def layers_place(run_directory: str, run_id: str) -> str:
    """Return where the layers of a run are.

    On the run's file system, so that what is kept is renamed, and outside of its directory, which
    the job may write.
    """
    return os.path.join(os.path.dirname(run_directory), f".diverted-{run_id}")


class Layers:
    """The layers of one run, held open.

    A job may rename the directories above them, and put others in their place: what is done there
    after it started is done by the descriptor, and through no link.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def made(cls, place: str) -> Self:
        """Make the directory for them, for its user alone.

        Raises:
            StoreUnreachableError: it cannot be made.
        """
        try:
            os.mkdir(place, 0o700)
            return cls(os.open(place, _DIRECTORY))
        except OSError as err:
            raise StoreUnreachableError(f"cannot make {place}: {err.strerror}") from err

    @classmethod
    def left(cls, place: str) -> Self:
        """Open those that a run of this user left at a path without links.

        Raises:
            ConflictError: something else is in their place.
            NotFoundError: they are not there.
        """
        try:
            descriptor = os.open(place, _DIRECTORY)
        except OSError as err:
            raise NotFoundError(f"cannot open {place}: {err.strerror}") from err
        layers = cls(descriptor)
        if layers.place != place or os.fstat(descriptor).st_uid != os.geteuid():
            os.close(descriptor)
            raise ConflictError(f"{place} was replaced", hint=f"ls -ld {place}")
        return layers

    @property
    def place(self) -> str:
        """Where they are now, whatever their former path leads to."""
        return os.readlink(f"/proc/self/fd/{self._descriptor}")

    def make(self, label: str, gold: str) -> Layer:
        """Make the layer of one input; its root looks like gold's.

        Directories of gold in which this user could not write through an overlay, since they belong
        to others, are sealed or have no write permission, are made in it beforehand: one mkdir for
        each, after a look at all directories. Root needs that for sealed ones alone.

        Raises:
            StoreUnreachableError: gold cannot be looked at, or the layer cannot be made.
        """
        layer = self.of(label)
        try:
            os.makedirs(layer.upper)
            os.mkdir(layer.work)
            with Descent(gold) as below, Descent(layer.upper) as above:
                dress(above.root, below.root)
                if os.geteuid() != 0 or has_flag(b"", below.root):
                    _prepare(below, above)
        except OSError as err:
            raise StoreUnreachableError(f"cannot make a layer over {gold}: {err.strerror}") from err
        return layer

    def of(self, label: str) -> Layer:
        """Return the layer of an input, where it is now."""
        here = os.path.join(self.place, label)
        return Layer(os.path.join(here, _UPPER), os.path.join(here, _WORK))

    def remove(self) -> None:
        """Remove them, and hold them no more."""
        for label in os.listdir(self._descriptor):
            with suppress(OSError):
                open_up(os.path.join(self.of(label).work, _WORK))  # the kernel's own, closed
        remove_tree(self.place)
        os.close(self._descriptor)


def added_mode(mode: int) -> int:
    """Return the mode of a directory that was made beforehand for one with this mode."""
    return stat.S_IMODE(mode) | stat.S_IRWXU


def dress(made: int, shown: int) -> None:
    """Give a directory of this user the looks of another: owner, mode, attributes and times."""
    status = os.fstat(shown)
    if os.geteuid() == 0:
        os.fchown(made, status.st_uid, status.st_gid)
    for name in os.listxattr(shown):
        if name.startswith(_COPIED) and not name.startswith(_MARKS):
            with suppress(OSError):  # for the looks only
                os.setxattr(made, name, os.getxattr(shown, name))
    os.fchmod(
        made, stat.S_IMODE(status.st_mode) if os.geteuid() == 0 else added_mode(status.st_mode)
    )
    os.utime(made, ns=(status.st_atime_ns, status.st_mtime_ns))


def open_up(directory: str) -> os.stat_result:
    """Let its owner into a directory of a layer that was closed; return what it was before.

    Raises:
        OSError: it is not there, or a link is on the way to it.
    """
    descriptor = os.open(directory, os.O_PATH | _DIRECTORY)
    here = f"/proc/self/fd/{descriptor}"
    try:
        if os.readlink(here) != directory:
            raise OSError(errno.ELOOP, "a symlink is on the way to it, or it was moved away")
        status = os.fstat(descriptor)
        if status.st_mode & stat.S_IRWXU != stat.S_IRWXU:
            os.chmod(here, stat.S_IMODE(status.st_mode) | stat.S_IRWXU)
    finally:
        os.close(descriptor)
    return status


def _prepare(below: Descent, above: Descent) -> None:
    for path in _directories(below):
        parent, _, name = path.rpartition(b"/")
        at = below.open(parent)
        if _is_closed(os.lstat(name, dir_fd=at), name, at):
            _mirror(below, above, path)


def _directories(below: Descent) -> Iterator[bytes]:
    """Yield every directory below the root that this user can list, parents first."""
    pending = [b""]
    while pending:
        path = pending.pop()
        try:
            with os.scandir(below.open(path)) as entries:
                names = [
                    os.fsencode(entry.name)
                    for entry in entries
                    if entry.is_dir(follow_symlinks=False)
                ]
        except PermissionError:
            continue  # the job can see nothing in it either
        for name in names:
            found = os.path.join(path, name) if path else name
            pending.append(found)
            yield found


def _is_closed(status: os.stat_result, name: bytes, at: int) -> bool:
    """Whether a job of this user could not make a name in a directory by an overlay alone."""
    if os.geteuid() == 0:
        return bool(has_flag(name, at))
    own = (status.st_uid, status.st_gid) == (os.getuid(), os.getgid())
    writable = status.st_mode & stat.S_IRWXU == stat.S_IRWXU
    return not own or not writable or bool(has_flag(name, at))


def _mirror(below: Descent, above: Descent, path: bytes) -> None:
    """Make a directory in the layer, and those above it."""
    names = path.split(b"/")
    for depth in range(len(names)):
        parent, name = b"/".join(names[:depth]), names[depth]
        at = above.open(parent)
        try:
            os.mkdir(name, 0o700, dir_fd=at)
        except FileExistsError:
            continue
        here = b"/".join(names[: depth + 1])
        dress(above.open(here), below.open(here))
