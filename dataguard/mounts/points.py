"""The directories that mounts are made on, and their removal."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from dataguard.errors import ConflictError, StoreUnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["clear", "held", "make_parents", "make_point", "opened_source", "opened_target"]

_PARENT_MODE = 0o777  # narrowed by the umask
_POINT_MODE = 0o555  # whoever finds the mount missing cannot fill the empty directory by mistake


def make_parents(base: str, target: str) -> None:
    """Create what is missing from a directory to the parent of a path below it, both included.

    Raises:
        ConflictError: something on the way is no directory, or cannot be created.
    """
    place = base
    _make_directory(place, _PARENT_MODE)
    for name in os.path.relpath(target, base).split("/")[:-1]:
        place = os.path.join(place, name)
        _make_directory(place, _PARENT_MODE)


def make_point(target: str) -> None:
    """Create the directory to mount on, unless it exists.

    Raises:
        ConflictError: something else is there, or it cannot be created.
    """
    _make_directory(target, _POINT_MODE)


def clear(base: str, target: str) -> str | None:
    """Remove an empty mount point and its empty parents below `base`.

    Returns what stays, in words, or None when nothing does.
    """
    left = _remove_directory(target)
    place = os.path.dirname(target)
    while left is None and len(place) > len(base):
        if _remove_directory(place) is not None:
            break  # another mount of the group is in it
        place = os.path.dirname(place)
    return left


@contextmanager
def opened_source(source: str) -> Iterator[int]:
    """Hold the directory to show, whatever happens to its path meanwhile.

    Raises:
        StoreUnreachableError: it is not there or no directory.
    """
    try:
        descriptor = os.open(source, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as err:
        raise StoreUnreachableError(
            f"cannot open {source}: {err.strerror}", hint="`dataguard show` lists other locations"
        ) from err
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def opened_target(target: str) -> Iterator[int]:
    """Hold the directory to mount on, and make sure that no link led to it.

    Raises:
        ConflictError: it is no directory, or a link is on the way.
    """
    with ExitStack() as stack:
        try:
            descriptor = stack.enter_context(held(target))
        except OSError as err:
            raise ConflictError(f"cannot open mount point {target}: {err.strerror}") from err
        yield descriptor


@contextmanager
def held(directory: str) -> Iterator[int]:
    """Hold a directory by its real path, and make sure that no link led to it.

    What is done by this descriptor cannot be sent elsewhere. Without it somebody who may write in
    a workspace could put a link on the way, and so have root mount, create or remove anywhere.

    Raises:
        ConflictError: it is a link or no directory, or a link is on the way.
        OSError: it is not there or cannot be reached.
    """
    flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(directory, flags)
    except NotADirectoryError as err:
        raise ConflictError(
            f"{directory} is a link or no directory", hint=f"ls -ld {directory}"
        ) from err
    try:
        if os.readlink(f"/proc/self/fd/{descriptor}") != directory:
            raise ConflictError(f"a link is on the way to {directory}", hint=f"ls -ld {directory}")
        yield descriptor
    finally:
        os.close(descriptor)


def _make_directory(place: str, mode: int) -> None:
    parent, name = os.path.split(place)
    try:
        with held(parent) as at:
            _make_at(at, name, mode, place)
    except OSError as err:
        raise ConflictError(f"cannot create {place}: {err.strerror}") from err


def _make_at(at: int, name: str, mode: int, place: str) -> None:
    try:
        os.mkdir(name, mode, dir_fd=at)
    except FileExistsError as err:
        if not stat.S_ISDIR(os.lstat(name, dir_fd=at).st_mode):
            raise ConflictError(
                f"{place} is in the way: it is no directory", hint=f"ls -ld {place}"
            ) from err


def _remove_directory(place: str) -> str | None:
    parent, name = os.path.split(place)
    try:
        with held(parent) as at:
            os.rmdir(name, dir_fd=at)
    except FileNotFoundError:
        return None
    except ConflictError as err:
        return err.message
    except OSError as err:
        if err.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return f"{place} is not empty"
        return f"cannot remove {place}: {err.strerror}"
    return None
