"""Replacing a small text file in one step, so that readers see the old content or the new.

The directory may belong to somebody else than the caller, who may be root: everything is done by
the directory's descriptor and no link is followed, so that no other file can be meant.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from dataguard.errors import ConflictError, DataguardError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check_replaceable", "replace_text"]

_NEW_FILE = 0o666  # narrowed by the umask, as for any file a user creates
_PERMISSIONS = 0o777  # no setuid: root may be writing what another user chose
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A FIFO is opened without waiting for somebody at its other end, and then refused.
_LOOK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def replace_text(path: str, text: str) -> bool:
    """Give a file this content, durable on return; False where it has it already.

    The permissions stay, and where the caller is root the owner too. Writers of one file must
    take turns. The directory must be a real path.

    Raises:
        ConflictError: a link or something else that is no file is in its place, or a link is on
            the way to it.
        DataguardError: the file cannot be written.
    """
    directory, name = os.path.split(path)
    content = text.encode()
    with _converted(path), _opened(directory) as at:
        old, there = _old(at, name, path)
        if there == content:
            return False
        temporary = _written(at, name, content, old)
        try:
            os.rename(temporary, name, src_dir_fd=at, dst_dir_fd=at)
        except OSError:
            os.unlink(temporary, dir_fd=at)
            raise
        os.fsync(at)
    return True


def check_replaceable(path: str) -> None:
    """Refuse a file that `replace_text` would refuse, before other work is done for it.

    Raises:
        ConflictError: as `replace_text`.
        DataguardError: it cannot be looked at.
    """
    directory, name = os.path.split(path)
    with _converted(path), _opened(directory) as at, suppress(FileNotFoundError):
        _check_regular(os.lstat(name, dir_fd=at), path)


@contextmanager
def _opened(directory: str) -> Iterator[int]:
    """Hold a directory, and make sure that no link led to it."""
    descriptor = os.open(directory, _DIRECTORY)
    try:
        if os.readlink(f"/proc/self/fd/{descriptor}") != directory:
            raise ConflictError(f"a link is on the way to {directory}", hint=f"ls -ld {directory}")
        yield descriptor
    finally:
        os.close(descriptor)


def _old(at: int, name: str, path: str) -> tuple[os.stat_result | None, bytes | None]:
    """Return what stands there now: nothing, or a regular file."""
    try:
        descriptor = os.open(name, _LOOK, dir_fd=at)
    except FileNotFoundError:
        return None, None
    except OSError as err:
        if err.errno == errno.ELOOP:
            raise _in_the_way(path, "a link") from err
        raise
    with open(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        _check_regular(status, path)
        return status, stream.read()


def _written(at: int, name: str, content: bytes, old: os.stat_result | None) -> str:
    """Write the content to a new file beside the old one, with its permissions."""
    # always the same name: what a crash left gives way, so nothing piles up
    temporary = f".{name}.new"
    with suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=at)
    descriptor = os.open(temporary, _NEW, _NEW_FILE, dir_fd=at)
    try:
        with open(descriptor, "wb") as stream:
            if old is not None:
                _take_after(old, descriptor)
            stream.write(content)
            stream.flush()
            os.fsync(descriptor)
    except OSError:
        os.unlink(temporary, dir_fd=at)
        raise
    return temporary


def _take_after(old: os.stat_result, descriptor: int) -> None:
    """Give a new file the owner and the permissions of the old one."""
    with suppress(PermissionError):  # only root can; a user's own file is the user's again
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, old.st_mode & _PERMISSIONS)


def _check_regular(status: os.stat_result, path: str) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise _in_the_way(path, "a link")
    if not stat.S_ISREG(status.st_mode):
        raise _in_the_way(path, "no file")


def _in_the_way(path: str, what: str) -> ConflictError:
    return ConflictError(
        f"cannot write {path}: it is {what}", hint=f"put a file of its own there: ls -l {path}"
    )


@contextmanager
def _converted(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as err:
        raise DataguardError(
            f"cannot write {path}: {err.strerror}", hint=f"ls -ld {os.path.dirname(path)}"
        ) from err
