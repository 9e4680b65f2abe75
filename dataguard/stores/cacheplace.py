"""Where a node cache lies: directories with the permissions of their root, on a local disk."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dataguard.errors import ConfigurationError, StoreUnreachableError
from dataguard.stores.filesystem import SHARED, file_system_type

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.model.cache import Wanted

__all__ = [
    "GROUPS",
    "INDEX",
    "PARTS",
    "PINS",
    "CachePlace",
    "groups_at",
    "nearest_directory",
    "why_unfit",
]

GROUPS, PARTS, PINS, INDEX = "groups", "part", "pins", "index.db"

_PUBLIC, _PRIVATE = 0o755, 0o2770
_OTHERS = 0o007
_OTHERS_WRITE = 0o002


class CachePlace:
    """The directory of one cache: that of everybody, or that of a group below it.

    What may be done in it is what the permissions of its directory say: everything below gets the
    same ones, and files are 0444. Who may write there is trusted with what is read from there.
    """

    def __init__(self, place: str, group: int | None = None) -> None:
        self.top = os.path.realpath(place)
        self.group = group
        self.root = self.top if group is None else os.path.join(self.top, GROUPS, str(group))
        self._prepared = False
        self._known: set[str] = set()

    def file_of(self, wanted: Wanted) -> str:
        """Return where an object is once it is there."""
        name = wanted.name
        return os.path.join(self.root, wanted.algorithm, name[:2], name)

    def part_of(self, wanted: Wanted) -> str:
        """Return where an object grows."""
        return os.path.join(self.root, PARTS, f"{wanted.algorithm}-{wanted.name}")

    @property
    def index(self) -> str:
        """The file that says what is known of each object."""
        return os.path.join(self.root, INDEX)

    @property
    def mode(self) -> int:
        """The permissions of its directories."""
        return stat.S_IMODE(os.stat(self.root).st_mode)

    def exists(self) -> bool:
        """Whether there is one that this user may look into.

        Raises:
            StoreUnreachableError: it is another group's, or cannot be looked at.
        """
        try:
            os.stat(os.path.join(self.root, "."))
            os.stat(self.index)
        except FileNotFoundError:
            return False
        except OSError as err:
            raise self.failed("look into", err) from err
        return True

    def prepare(self) -> None:
        """Make what is missing of it, and make sure that its locks hold.

        Raises:
            ConfigurationError: it lies where locks cannot be trusted, or is open to others.
            StoreUnreachableError: it cannot be made or written.
        """
        if self._prepared:
            return
        try:
            self._make_root()
            reason = why_unfit(self.root) or self._exposed()
            if reason is None:
                for name in (PARTS, PINS):
                    self.make_directory(os.path.join(self.root, name))
                reason = _locks_fail(os.path.join(self.root, PARTS))
        except OSError as err:
            raise self.failed("write", err) from err
        if reason is not None:
            raise ConfigurationError(
                f"{self.root} is no place for the node cache: {reason}",
                hint="set DATAGUARD_CACHE to a directory on a disk of this host",
            )
        self._prepared = True

    def make_directory(self, directory: str) -> None:
        """Make a directory with the permissions of the root, unless it is there.

        Raises:
            OSError: it cannot be made.
        """
        if directory not in self._known:
            _made(directory, self.mode, self.group)
            self._known.add(directory)

    @contextmanager
    def locked(self, *, shared: bool = False) -> Iterator[None]:
        """Hold the lock under which room is made; pins are made under a shared one.

        Raises:
            StoreUnreachableError: it cannot be had.
        """
        try:  # the directory itself: whoever may look into it can lock it
            descriptor = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as err:
            raise self.failed("lock", err) from err
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
            yield
        finally:
            # Said aloud: a child that was forked meanwhile has the descriptor too.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def failed(self, what: str, err: OSError) -> StoreUnreachableError:
        """Return the error for something that the system refused."""
        hint = f"ls -ld {self.root}"
        if err.errno in (errno.EACCES, errno.EPERM) and self.group is not None:
            hint = "it is for members of its group alone; `dataguard cache show` names the group"
        return StoreUnreachableError(
            f"cannot {what} the node cache {self.root}: {err.strerror}", hint=hint
        )

    def _make_root(self) -> None:
        os.makedirs(os.path.dirname(self.top), exist_ok=True)
        _made(self.top, _PUBLIC, None)
        if self.group is not None:
            _made(os.path.dirname(self.root), _PUBLIC, None)
            _made(self.root, _PRIVATE, self.group)

    def _exposed(self) -> str | None:
        """Return why its permissions are not what they have to be."""
        status = os.stat(self.root)
        if self.group is None:
            return "everybody may write there" if status.st_mode & _OTHERS_WRITE else None
        if status.st_gid != self.group:
            return f"it belongs to group {status.st_gid}, not {self.group}"
        return "others than its group may look into it" if status.st_mode & _OTHERS else None


def groups_at(place: str) -> tuple[int, ...]:
    """Return the groups that have a cache of their own there, whoever may look into it."""
    try:
        names = os.listdir(os.path.join(place, GROUPS))
    except OSError:  # there are none, or none that this user could tell of
        return ()
    return tuple(sorted(int(name) for name in names if name.isdigit()))


def nearest_directory(place: str) -> str:
    """Return the lowest directory on the way to a place that is there: it may still be made."""
    while not os.path.isdir(place) and place != "/":
        place = os.path.dirname(place)
    return place


def why_unfit(directory: str) -> str | None:
    """Return why the file system of a directory cannot hold a node cache; None where it can.

    On network file systems locks are not seen by all, or are granted to all: two processes would
    write one file. A cache there would be no cache of this node either.
    """
    kind = file_system_type(os.stat(directory).st_dev)
    if kind in SHARED or kind.startswith("fuse"):
        return f"{kind} is not a disk of this host"
    return None


def _locks_fail(directory: str) -> str | None:
    """Take a lock twice and return what is wrong where that works."""
    with tempfile.NamedTemporaryFile(dir=directory, prefix=".lock-") as first:
        fcntl.flock(first.fileno(), fcntl.LOCK_EX)
        with open(first.name, "rb") as second:
            try:
                fcntl.flock(second.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
    return "flock gives the same lock twice"


def _made(directory: str, mode: int, group: int | None) -> None:
    """Make a directory, with permissions that no umask narrows, or leave the one that is there.

    It gets its name last: nobody comes into a private one before it is private.
    """
    if os.path.isdir(directory):
        return
    draft = tempfile.mkdtemp(prefix=".new-", dir=os.path.dirname(directory))
    try:
        if group is not None:
            os.chown(draft, -1, group)
        os.chmod(draft, mode)
        os.rename(draft, directory)
    except OSError:
        os.rmdir(draft)
        if not os.path.isdir(directory):
            raise
