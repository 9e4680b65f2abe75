"""Publishes a sheet that is made beside a manifest, not with it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from typing import TYPE_CHECKING

from dataguard.stores.shelf import PARTIAL, Shelf, file_sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dataguard.model.digest import RootDigest

__all__ = ["publish_sheet"]


def publish_sheet(home: str, root: RootDigest, write: Callable[[str], None]) -> str:
    """Have a file written at a path and put it beside the sheets of a root; returns its key.

    It is durable before it is visible, and named by its content.

    Raises:
        OSError: the disk is full or fails, or may not be written.
    """
    shelf = Shelf(home)
    folder = os.path.dirname(shelf.sheet_path(root, ""))
    draft = os.path.join(folder, f"{PARTIAL}{secrets.token_hex(8)}")
    os.makedirs(folder, exist_ok=True)
    with _locked(draft) as descriptor:
        write(draft)
        os.fchmod(descriptor, 0o444)
        os.fsync(descriptor)
        key = file_sha256(draft)
        os.rename(draft, shelf.sheet_path(root, key))
        _sync(folder)
    return key


@contextlib.contextmanager
def _locked(draft: str) -> Iterator[int]:
    """Make a draft that others see is being written; what was not renamed is removed."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(draft, flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield descriptor
    finally:
        with contextlib.suppress(OSError):  # renamed; or it stays as an abandoned draft
            os.unlink(draft)
        os.close(descriptor)


def _sync(folder: str) -> None:
    for directory in (folder, os.path.dirname(folder)):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
