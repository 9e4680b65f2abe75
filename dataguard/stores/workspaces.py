"""Workspace files: `dataguard.toml` says what is wanted, `dataguard.lock` what that means."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dataguard.core.objectoutputs import output_place
from dataguard.errors import ConfigurationError, ConflictError, NotFoundError, UsageError
from dataguard.model.workspace import Workspace
from dataguard.stores.replacing import check_replaceable, replace_text
from dataguard.stores.workspacetext import changed, format_lock, parse_declaration, parse_lock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dataguard.model.workspace import LockEntry

__all__ = [
    "DATA",
    "DECLARATION",
    "LOCK",
    "check_files",
    "declaration_exists",
    "find",
    "locked",
    "outputs_place",
    "read",
    "target",
    "write_declaration",
    "write_lock",
    "write_outputs",
]

DECLARATION, LOCK, DATA = "dataguard.toml", "dataguard.lock", "data"
_ATTEMPTS, _PAUSE_S = 100, 0.1


def find(start: str) -> str | None:
    """Return the nearest directory with a `dataguard.toml`, from `start` upwards, or None."""
    directory = os.path.realpath(start)
    while not declaration_exists(directory):
        if directory == "/":
            return None
        directory = os.path.dirname(directory)
    return directory


def declaration_exists(directory: str) -> bool:
    """Whether a directory is a workspace."""
    return os.path.isfile(os.path.join(directory, DECLARATION))


def target(directory: str, name: str) -> str:
    """Return where a mount of a workspace appears; the directory must be a real path."""
    return os.path.join(directory, DATA, name)


def outputs_place(directory: str, outputs: str) -> str:
    """Return the outputs place as a real path or URL; relative to the workspace directory.

    Raises:
        UsageError: the text cannot name a place, or not in a TOML file.
    """
    if not outputs or "\0" in outputs or not _is_unicode(outputs):
        raise UsageError(
            "the outputs place must be a path in UTF-8 or a URL", hint="--outputs /scratch/out"
        )
    if "://" in outputs:
        return output_place(outputs)
    return os.path.realpath(os.path.join(directory, outputs))


def read(directory: str) -> Workspace:
    """Return the workspace in a directory, its places made absolute.

    Raises:
        ConfigurationError: a file makes no sense; with its line.
        NotFoundError: the directory is no workspace.
    """
    directory = os.path.realpath(directory)
    path, lock = os.path.join(directory, DECLARATION), os.path.join(directory, LOCK)
    content = _content(path)
    if content is None:
        raise NotFoundError(
            f"no workspace in {directory}: it has no {DECLARATION}",
            hint=f"dataguard workspace init {directory} --outputs PLACE",
        )
    declared = parse_declaration(path, content)
    policy = None if declared.policy is None else os.path.join(directory, declared.policy)
    return Workspace(
        directory,
        outputs_place(directory, declared.outputs),
        declared.datasets,
        parse_lock(lock, _content(lock) or b""),
        policy,
    )


def check_files(directory: str) -> None:
    """Refuse workspace files that cannot be changed, before anything is done that they must say.

    They may be links for those who only read them; a change through one could hit any file.

    Raises:
        ConflictError: one of them is a link or no file, or a link is on the way to them.
        DataguardError: they cannot be looked at.
    """
    for name in (DECLARATION, LOCK):
        check_replaceable(os.path.join(directory, name))


def write_outputs(directory: str, outputs: str) -> None:
    """Declare the outputs place; makes the directory a workspace.

    Raises:
        ConfigurationError: the declaration is no TOML.
        ConflictError: it is a link or no file.
        DataguardError: it cannot be written.
    """
    _change(directory, "workspace", "outputs", outputs)


def write_declaration(directory: str, name: str, reference: str | None) -> None:
    """Declare a mount, or with None take it out; the rest of the file stays as it is.

    Raises:
        ConfigurationError: the declaration is no TOML.
        ConflictError: it is a link or no file.
        DataguardError: it cannot be written.
    """
    _change(directory, "datasets", name, reference)


def write_lock(directory: str, entries: Iterable[LockEntry]) -> None:
    """Replace the lock file.

    Raises:
        ConflictError: it is a link or no file.
        DataguardError: it cannot be written.
    """
    replace_text(os.path.join(directory, LOCK), format_lock(entries))


@contextmanager
def locked(directory: str) -> Iterator[None]:
    """Keep other commands away from the mounts of a workspace; leaves no file.

    The lock is on the directory itself and ends with the process. A directory that is gone needs
    no lock, and one whose file system cannot lock it gets none: the catalog still takes one
    writer at a time.

    Raises:
        ConflictError: another command holds it for ten seconds.
    """
    descriptor = _opened(directory)
    try:
        if descriptor is not None:
            _wait_for(descriptor, directory)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _opened(directory: str) -> int | None:
    try:
        return os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None  # what is wrong with the directory comes out where its files are read


def _wait_for(descriptor: int, directory: str) -> None:
    for _ in range(_ATTEMPTS):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            if err.errno not in (errno.EAGAIN, errno.EACCES):
                return  # NFS refuses to lock a directory that is open for reading
            time.sleep(_PAUSE_S)
        else:
            return
    raise ConflictError(
        f"another dataguard command works on the mounts of {directory}", hint="try again later"
    )


def _change(directory: str, table: str, key: str, value: str | None) -> None:
    path = os.path.join(directory, DECLARATION)
    replace_text(path, changed(path, _content(path) or b"", table, key, value))


def _content(path: str) -> bytes | None:
    """Return a file's bytes, or None where there is no such file."""
    try:
        # A FIFO is opened without waiting for somebody at its other end, and then refused.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise ConfigurationError(f"cannot read {path}: it is no file")
            return stream.read()
    except FileNotFoundError:
        return None
    except OSError as err:
        raise ConfigurationError(f"cannot read {path}: {err.strerror}") from err


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
