"""Whether a place lies in one of some directories, by whatever path it is reached."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dataguard.core.paths import is_inside
from dataguard.mounts.aliases import aliases_of

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["holder"]


def holder(place: str, directories: Iterable[str]) -> str | None:
    """Return the first of some directories that holds a place under any of its paths, or None.

    The place need not exist. What mountinfo does not tell (subvolumes, file systems mounted
    twice) is found by the identity of the directories above the place.

    Raises:
        DataguardError: proc cannot be read.
    """
    paths = aliases_of(place)
    above = _identities_above(paths[0])
    for directory in directories:
        real = os.path.realpath(directory)
        if any(is_inside(path, real) for path in paths) or _identity(real) in above:
            return directory
    return None


def _identities_above(path: str) -> set[tuple[int, int] | None]:
    found = {_identity(path)}
    while path != "/":
        path = os.path.dirname(path)
        found.add(_identity(path))
    return found - {None}


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:  # not there or not reachable: nothing has this identity
        return None
    return status.st_dev, status.st_ino
