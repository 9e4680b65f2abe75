"""A file of a layer and the file of gold it was copied from: content and metadata side by side."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING

from dataguard.stores.flags import WITHOUT_FLAGS, settable_flags
from dataguard.stores.layers import added_mode

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Marks", "differences", "has_mark", "opened", "same_content"]

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CHUNK = 1 << 20
_COMPARED = ("user.", "trusted.", "system.posix_acl_", "security.capability")


class Marks(StrEnum):
    """Attributes in which overlays keep what they know: of a mount of root, and of a user's.

    Each passes the other's on to whoever sets one, so these tell nothing.
    """

    TRUSTED = "trusted.overlay."
    USER = "user.overlay."


def has_mark(descriptor: int, name: str, marks: Marks) -> bool:
    """Whether the overlay has put a mark on an open file or directory of its upper layer."""
    return f"{marks}{name}" in os.listxattr(descriptor)


@contextmanager
def opened(name: bytes, at: int, *, is_own: bool = False) -> Iterator[int]:
    """Hold a file open for reading; one of this user's `own` also where no permission says so.

    Raises:
        OSError: it cannot be opened.
    """
    try:
        descriptor = _open(name, at)
    except PermissionError:
        if not is_own:
            raise
        mode = stat.S_IMODE(os.lstat(name, dir_fd=at).st_mode)
        os.chmod(name, mode | stat.S_IRUSR, dir_fd=at)
        descriptor = _open(name, at)
        os.fchmod(descriptor, mode)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def same_content(one: int, other: int) -> bool:
    """Whether two open files of one size have the same bytes."""
    at = 0
    while data := os.pread(one, _CHUNK, at):
        if data != os.pread(other, _CHUNK, at):
            return False
        at += len(data)
    return True


def differences(
    copy: int | None, original: int | None, status: os.stat_result, twin: os.stat_result
) -> str:
    """Return in words what of the metadata differs, or an empty text.

    Both are open; None for what cannot be opened, a symlink: then attributes and flags are not
    compared. A directory's times change with what is in it, and one that was made beforehand
    belongs to this user, who may write to it, and lacks some attributes.
    """
    is_directory = stat.S_ISDIR(status.st_mode)
    found = []
    mode, before = stat.S_IMODE(status.st_mode), stat.S_IMODE(twin.st_mode)
    if mode not in ((before, added_mode(before)) if is_directory else (before,)):
        found.append(f"mode {before:04o} to {mode:04o}")
    owner, owned = (status.st_uid, status.st_gid), (twin.st_uid, twin.st_gid)
    if owner not in ((owned, (os.getuid(), os.getgid())) if is_directory else (owned,)):
        found.append(f"owner {owned[0]}:{owned[1]} to {owner[0]}:{owner[1]}")
    if not is_directory and status.st_mtime_ns != twin.st_mtime_ns:
        found.append("modification time")
    if copy is not None and original is not None:
        found += _marks(copy, original, also_missing=not is_directory)
    return ", ".join(found)


def _marks(copy: int, original: int, *, also_missing: bool) -> Iterator[str]:
    now, before = _attributes(copy), _attributes(original)
    names = [name for name in now if now[name] != before.get(name)]
    if also_missing:
        names += [name for name in before if name not in now]
    yield from (f"attribute {name}" for name in sorted(names))
    flags, flagged = _flags(copy), _flags(original)
    if flags & ~flagged or (also_missing and flagged & ~flags):
        yield "flags"


def _attributes(descriptor: int) -> dict[str, bytes]:
    names = [name for name in os.listxattr(descriptor) if name.startswith(_COMPARED)]
    return {
        name: os.getxattr(descriptor, name) for name in names if not name.startswith(tuple(Marks))
    }


def _flags(descriptor: int) -> int:
    try:
        return settable_flags(descriptor)
    except OSError as err:
        if err.errno in (*WITHOUT_FLAGS, errno.EPERM, errno.EACCES):
            return 0
        raise


def _open(name: bytes, at: int) -> int:
    try:
        return os.open(name, _READ | os.O_NOATIME, dir_fd=at)
    except PermissionError:
        return os.open(name, _READ, dir_fd=at)
