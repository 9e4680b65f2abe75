"""Whether watched roots are still what they were: mounts over and away, moves, replacements."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dataguard.core.mounttable import MountTable, parse
from dataguard.errors import ConflictError
from dataguard.model.watch import GapKind

if TYPE_CHECKING:
    from dataguard.model.mountpoint import MountPoint

__all__ = ["Loss", "RootGuard", "filesystem_of", "is_mount", "read_mounts"]

_TABLE = "/proc/self/mountinfo"


@dataclass(frozen=True, slots=True)
class Loss:
    """A part of a root that is not what was watched; `whole` where it is the root itself."""

    root: bytes
    path: bytes
    kind: GapKind
    message: str
    whole: bool


@dataclass(slots=True)
class _Standing:
    """What a root was when it was last watched; `identity` is None while it is not there."""

    root: bytes
    identity: tuple[int, int] | None
    mount: MountPoint | None
    inner: dict[int, str] = field(default_factory=dict)
    over: dict[int, str] = field(default_factory=dict)


class RootGuard:
    """Looks at the roots from outside; holds no descriptor below them, so they can be unmounted.

    The kernel wakes whoever polls `descriptor` for POLLERR when a mount comes or goes
    (proc_pid_mountinfo(5)); what has no such event is found by looking.
    """

    def __init__(self) -> None:
        try:
            self._stream = open(_TABLE, "rb", buffering=0)  # noqa: SIM115  closed by close()
        except OSError as err:
            raise ConflictError(
                f"cannot read {_TABLE}: {err.strerror}", hint="mount -t proc proc /proc"
            ) from err
        self._roots: dict[bytes, _Standing] = {}
        self._table = self._read()

    @property
    def descriptor(self) -> int:
        """What is to be polled."""
        return self._stream.fileno()

    def remember(self, root: bytes) -> None:
        """Take a root as it is now for what is watched; one that is not there is waited for.

        Raises:
            OSError: it is not there.
        """
        self._roots[root] = _Standing(root, None, None)
        status = os.stat(root)
        table = self._table = self._read()
        path = os.fsdecode(root)
        inner = {point.mount_id: point.target for point in table.below(path)}
        identity = (status.st_dev, status.st_ino)
        self._roots[root] = _Standing(root, identity, table.showing(path), inner)

    def look(self, *, mounts_changed: bool) -> tuple[Loss, ...]:
        """Return what is not as it was remembered; each once, until it is remembered again.

        The mounts are read again only where the kernel said that they changed, or a root did.
        """
        if mounts_changed:
            self._table = self._read()
        found: list[Loss] = []
        for standing in self._roots.values():
            loss = _root_loss(standing, self._table)
            if loss is not None and loss.kind is GapKind.REPLACED:
                # So it looks, too, what was mounted over it after the table was read.
                self._table = self._read()
                loss = _root_loss(standing, self._table)
            if loss is not None:
                found.append(loss)
            elif standing.identity is not None:
                found += _inner_losses(standing, self._table)
        return tuple(found)

    def missing(self) -> tuple[bytes, ...]:
        """Return the roots that are waited for."""
        return tuple(one.root for one in self._roots.values() if one.identity is None)

    def covered(self) -> frozenset[bytes]:
        """Return the paths of mounts that lie over parts of roots now."""
        return frozenset(
            os.fsencode(path) for one in self._roots.values() for path in one.over.values()
        )

    def lose(self, root: bytes) -> None:
        """Wait for a root to be remembered again."""
        self._roots[root].identity = None

    def close(self) -> None:
        """Stop looking."""
        self._stream.close()

    def _read(self) -> MountTable:
        return parse(_content(self._stream.fileno()))


def read_mounts() -> MountTable:
    """Return the mounts of this process now.

    Raises:
        ConflictError: proc is not mounted.
    """
    guard = RootGuard()
    try:
        return guard._read()  # noqa: SLF001  the same module
    finally:
        guard.close()


def is_mount(path: bytes) -> bool:
    """Whether something is mounted at an absolute path now; it may be one that may not be opened.

    Raises:
        ConflictError: proc is not mounted.
    """
    return bool(read_mounts().at(os.fsdecode(path)))


def filesystem_of(root: bytes, table: MountTable) -> str:
    """Return the type of the file system by which a root is seen, or `unknown`."""
    mount = table.showing(os.path.realpath(os.fsdecode(root)))
    return "unknown" if mount is None else mount.filesystem


def _content(descriptor: int) -> bytes:
    """Read the table again from its beginning, which also takes the kernel's wake-up back."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    parts = []
    while part := os.read(descriptor, 1 << 16):
        parts.append(part)
    return b"".join(parts)


def _root_loss(standing: _Standing, table: MountTable) -> Loss | None:
    if standing.identity is None:
        return None
    try:
        status = os.stat(standing.root)
    except (FileNotFoundError, NotADirectoryError):
        return _changed(standing, table, "is not there any more: moved or deleted")
    except OSError as err:
        message = f"cannot be looked at: {err.strerror}"
        return Loss(standing.root, standing.root, GapKind.UNREADABLE, message, whole=True)
    if (status.st_dev, status.st_ino) != standing.identity:
        return _changed(standing, table, "is another directory now")
    if _went_away(standing.mount, table):
        return _changed(standing, table, "was unmounted, and mounted again")
    standing.mount = table.showing(os.fsdecode(standing.root))
    return None


def _changed(standing: _Standing, table: MountTable, otherwise: str) -> Loss:
    """Say why the root's path leads elsewhere than it did."""
    root = standing.root
    if _went_away(standing.mount, table):
        kind, message = GapKind.UNMOUNTED, "its file system was unmounted"
    elif _ids(table.showing(os.fsdecode(root))) != _ids(standing.mount):
        kind, message = GapKind.MOUNTED_OVER, "another file system was mounted over it"
    else:
        kind, message = GapKind.REPLACED, otherwise
    return Loss(root, root, kind, message, whole=True)


def _inner_losses(standing: _Standing, table: MountTable) -> list[Loss]:
    now = {point.mount_id: point for point in table.below(os.fsdecode(standing.root))}
    found = []
    for mount_id, target in list(standing.inner.items()):
        if mount_id not in now or now[mount_id].target != target:
            del standing.inner[mount_id]
            found.append(_inner(standing, target, GapKind.UNMOUNTED, "was unmounted"))
    for mount_id, point in now.items():
        if mount_id not in standing.inner and mount_id not in standing.over:
            message = f"{point.filesystem} was mounted over it: what lies below is not seen"
            found.append(_inner(standing, point.target, GapKind.MOUNTED_OVER, message))
    standing.over = {
        number: point.target for number, point in now.items() if number not in standing.inner
    }
    return found


def _inner(standing: _Standing, target: str, kind: GapKind, message: str) -> Loss:
    return Loss(standing.root, os.fsencode(target), kind, message, whole=False)


def _went_away(mount: MountPoint | None, table: MountTable) -> bool:
    return mount is not None and table.holding(mount.mount_id) is None


def _ids(mount: MountPoint | None) -> int | None:
    return None if mount is None else mount.mount_id
