"""Looks whether entries of a tree have their seal, without opening a file."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Self

from dataguard.core.paths import display
from dataguard.errors import StoreUnreachableError
from dataguard.model.entry import Obstacle
from dataguard.model.policy import Seal
from dataguard.model.seal import WRITE_BITS
from dataguard.stores.descent import Descent
from dataguard.stores.flags import has_flag
from dataguard.stores.obstacles import obstacle_of

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["SealCheck"]


class SealCheck:
    """The tree at a place; use it as a context manager."""

    def __init__(self, place: str, seal: Seal) -> None:
        """Open the place.

        Raises:
            StoreUnreachableError: it cannot be opened.
        """
        self._seal = seal
        try:
            self._tree = Descent(place)
        except OSError as err:
            raise StoreUnreachableError(f"cannot open {place}: {err.strerror}") from err

    def holds(self, path: bytes) -> bool:
        """Whether an entry or directory (`b""`: the root) has the seal.

        What is not there any more counts as sealed: that it is gone is another finding.

        Raises:
            StoreUnreachableError: it cannot be looked at, or the file system does not say.
        """
        parent, _, name = path.rpartition(b"/")
        try:
            directory = self._tree.open(parent)
            if self._seal is Seal.IMMUTABLE:
                return _flag(name, directory)
            if not name:
                return not os.fstat(directory).st_mode & WRITE_BITS
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
            return not status.st_mode & WRITE_BITS
        except OSError as err:
            if obstacle_of(err) is Obstacle.VANISHED:
                return True
            raise StoreUnreachableError(
                f"cannot look at the seal of {display(path)}: {err.strerror}"
            ) from err

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._tree.close()


def _flag(name: bytes, directory: int) -> bool:
    found = has_flag(name, directory)
    if found is None:
        raise OSError(errno.EOPNOTSUPP, "the file system does not tell flags")
    return found
