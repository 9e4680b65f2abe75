"""Taking every seal away that a test left, so that its directory can be removed."""

from __future__ import annotations

import contextlib
import os
import subprocess
from contextlib import contextmanager

import pytest

from dataguard.stores.flags import is_immutable, may_set_flags, set_immutable

__all__ = ["flagged", "needs_flags", "opened_again", "set_flag"]

needs_flags = pytest.mark.skipif(not may_set_flags(), reason="needs CAP_LINUX_IMMUTABLE")


def set_flag(path, *, on):
    """Set or clear the immutable flag behind dataguard's back."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        set_immutable(descriptor, on=on)
    finally:
        os.close(descriptor)


def flagged(top):
    """Relative paths of files and directories (`.`: the top) that have the flag."""
    found = set()
    for path in _everything(top):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            if is_immutable(descriptor):
                found.add(os.path.relpath(path, top))
        finally:
            os.close(descriptor)
    return found


@contextmanager
def opened_again(top):
    """Clear all flags below a directory at the end, and let it be written again."""
    try:
        yield top
    finally:
        for path in _everything(top):
            with contextlib.suppress(OSError):
                set_flag(path, on=False)
        subprocess.run(["chmod", "-R", "-f", "u+w", str(top)], check=False)


def _everything(top):
    """Every directory and regular file, a directory before what is in it."""
    yield str(top)
    for directory, names, files in os.walk(top):
        for name in (*names, *files):
            path = os.path.join(directory, name)
            if not os.path.islink(path) and (os.path.isfile(path) or os.path.isdir(path)):
                yield path
