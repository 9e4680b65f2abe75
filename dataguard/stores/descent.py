"""Directories below a root, opened one component at a time and never through a symlink."""

from __future__ import annotations

import errno
import os
from typing import Self

__all__ = ["Descent"]

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_LEVELS = 64
"""Descriptors kept on the way down; deeper levels keep only the last one."""


class Descent:
    """Opens directories below a root by their relative path, whatever its length.

    Remembers the way to the last directory, so that neighbours cost one `openat`. Close it after
    use. Descriptors it returns are its own and valid until the next call.
    """

    def __init__(self, root: str | bytes, *, exact: bool = False) -> None:
        """Open the root itself; it may be a symlink, nothing below it is followed.

        With `exact` the root is an absolute path without links, and what one leads to is refused:
        somebody who owns a directory above it may have put one there since it was looked at.

        Raises:
            OSError: the root is not there, no directory, or may not be read; ELOOP with `exact`.
        """
        self.root = _open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if exact and os.readlink(f"/proc/self/fd/{self.root}") != os.fsdecode(root):
            os.close(self.root)
            raise OSError(errno.ELOOP, "a symlink is on the way to it, or it was moved away")
        self._names: list[bytes] = []
        self._descriptors: list[int] = []  # -1 where a deep level was closed again

    def open(self, path: bytes) -> int:
        """Return a descriptor of the directory at `path`; empty means the root.

        Raises:
            OSError: a component is missing, no directory, a symlink, or may not be searched.
        """
        wanted = path.split(b"/") if path else []
        common = 0
        for have, want in zip(self._names, wanted, strict=False):
            if have != want:
                break
            common += 1
        self._climb_to(common)
        for name in wanted[common:]:
            self._enter(name)
        return self._top()

    def close(self) -> None:
        """Close every descriptor."""
        self._climb_to(0)
        os.close(self.root)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _top(self) -> int:
        return self._descriptors[-1] if self._descriptors else self.root

    def _enter(self, name: bytes) -> None:
        descriptor = _open(name, _FLAGS, dir_fd=self._top())
        if len(self._descriptors) > _OPEN_LEVELS:
            os.close(self._descriptors[-1])
            self._descriptors[-1] = -1
        self._names.append(name)
        self._descriptors.append(descriptor)

    def _climb_to(self, level: int) -> None:
        names = self._names[:level]
        for descriptor in self._descriptors[level:]:
            if descriptor >= 0:
                os.close(descriptor)
        del self._names[level:], self._descriptors[level:]
        if self._descriptors and self._descriptors[-1] < 0:
            self._reopen(names)

    def _reopen(self, names: list[bytes]) -> None:
        """Walk down again from the deepest level that is still open."""
        while self._descriptors and self._descriptors[-1] < 0:
            self._descriptors.pop()
            self._names.pop()
        for name in names[len(self._names) :]:
            self._enter(name)


def _open(name: str | bytes, flags: int, *, dir_fd: int | None = None) -> int:
    """Open a directory, without touching its access time where its owner asks."""
    try:
        return os.open(name, flags | os.O_NOATIME, dir_fd=dir_fd)
    except PermissionError:
        return os.open(name, flags, dir_fd=dir_fd)
