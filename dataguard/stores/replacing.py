"""Replacing a small text file in one step, so that readers see the old content or the new."""

from __future__ import annotations

import os
from contextlib import suppress

from dataguard.errors import DataguardError

__all__ = ["replace_text"]

_NEW_FILE = 0o666  # narrowed by the umask, as for any file a user creates


def replace_text(path: str, text: str) -> bool:
    """Give a file this content, durable on return; False where it has it already.

    A symlink stays one and the file behind it is replaced; the permissions stay, and where the
    caller is root the owner too. Writers of one file must take turns.

    Raises:
        DataguardError: the file cannot be written.
    """
    path, content = os.path.realpath(path), text.encode()
    try:
        if _content(path) == content:
            return False
        temporary = _written(path, content)
        try:
            os.rename(temporary, path)
        except OSError:
            os.unlink(temporary)
            raise
        _sync_directory(os.path.dirname(path))
    except OSError as err:
        raise DataguardError(
            f"cannot write {path}: {err.strerror}", hint=f"ls -ld {os.path.dirname(path)}"
        ) from err
    return True


def _content(path: str) -> bytes | None:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def _written(path: str, content: bytes) -> str:
    """Write the content to a new file beside the old one, with its permissions."""
    directory, name = os.path.split(path)
    # always the same name: what a crash left gives way, so nothing piles up
    temporary = os.path.join(directory, f".{name}.new")
    with suppress(FileNotFoundError):
        os.unlink(temporary)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, _NEW_FILE)
    try:
        with open(descriptor, "wb") as stream:
            with suppress(FileNotFoundError):
                _take_after(os.stat(path), descriptor)
            stream.write(content)
            stream.flush()
            os.fsync(descriptor)
    except OSError:
        os.unlink(temporary)
        raise
    return temporary


def _take_after(old: os.stat_result, descriptor: int) -> None:
    """Give a new file the owner and the permissions of the old one."""
    with suppress(PermissionError):  # only root can; a user's own file is the user's again
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, old.st_mode & 0o7777)


def _sync_directory(directory: str) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
