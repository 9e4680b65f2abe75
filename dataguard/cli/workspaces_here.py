"""Which workspace a command means."""

import os
from typing import TYPE_CHECKING

from dataguard.errors import NotFoundError

if TYPE_CHECKING:
    from dataguard.model.workspace import Workspace

__all__ = ["find_workspace", "need_workspace"]


def find_workspace(given: str | None) -> "Workspace | None":
    """Return the workspace that is given, or the nearest one above the working directory.

    Raises:
        NotFoundError: the given directory is no workspace.
        ConfigurationError: its files make no sense.
    """
    from dataguard.stores import workspaces

    directory = workspaces.find(os.getcwd()) if given is None else given
    return None if directory is None else workspaces.read(directory)


def need_workspace(given: str | None) -> str:
    """Return the directory of the workspace that is meant.

    Raises:
        NotFoundError: there is none.
    """
    found = find_workspace(given)
    if found is None:
        raise NotFoundError(
            "no dataguard.toml here or above", hint="dataguard workspace init DIR, or -w DIR"
        )
    return found.directory
