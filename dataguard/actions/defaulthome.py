"""The home of a user who names none."""

from __future__ import annotations

import os

__all__ = ["default_home"]


def default_home() -> str:
    """Return `dataguard` in the user's data directory, as `platformdirs` tells it.

    That takes longer to load than the catalog, and is asked where the environment is not plain.
    """
    given, home = os.environ.get("XDG_DATA_HOME", ""), os.environ.get("HOME", "")
    if given.startswith("/"):
        return os.path.join(given, "dataguard")
    if not given and home.startswith("/"):
        return os.path.expanduser("~/.local/share/dataguard")
    from platformdirs import user_data_dir  # noqa: PLC0415  see above

    return user_data_dir("dataguard")
