"""A file or folder that comes back in the place of a link, with all that it had (see `linking`)."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING

from dataguard.model.reclaim import Reason
from dataguard.stores.exchange import exact_directory, exchange
from dataguard.stores.filling import fill
from dataguard.stores.folderlist import listed
from dataguard.stores.folderrestoring import discard_folder, write_folder
from dataguard.stores.linkplace import is_back, is_our_link, status_at
from dataguard.stores.reclaimcheck import LeftAloneError
from dataguard.stores.reclaimjournal import Mark

if TYPE_CHECKING:
    from dataguard.model.reclaim import Replaced
    from dataguard.stores.reclaimjournal import ReclaimJournal

__all__ = ["bring_back"]

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def bring_back(one: Replaced, source: bytes, journal: ReclaimJournal) -> int:
    """Put the bytes of `source` back in the place of a link, with all that the file had.

    Returns the size.

    Raises:
        CatalogDamagedError: the list of what was in a folder is not there.
        LeftAloneError: the link was replaced, or `source` has other bytes; nothing is changed.
        OSError: something cannot be read or changed.
        StoreUnreachableError: the journal cannot be written.
    """
    parent, name = os.path.split(one.path)
    with exact_directory(parent) as directory:
        if is_our_link(one, name, directory):
            _exchange_for_file(one, source, directory, journal)
        elif not is_our_link(one, one.temporary, directory) and not is_back(one, directory):
            there = status_at(name, directory) is not None
            raise LeftAloneError(Reason.REPLACED, "" if there else "nothing is there")
        with contextlib.suppress(FileNotFoundError):  # an undo came this far and no further
            os.unlink(one.temporary, dir_fd=directory)
        os.fsync(directory)
        journal.mark(one.number, Mark.UNDONE)
    return one.size


def _exchange_for_file(
    one: Replaced, source: bytes, directory: int, journal: ReclaimJournal
) -> None:
    """Write the file or folder anew, and let it and the link change names."""
    name = os.path.basename(one.path)
    _discard(one, directory)  # what an interrupted undo wrote
    inode = _write_anew(one, source, directory, journal)
    exchange(directory, one.temporary, name)
    os.fsync(directory)
    if not is_our_link(one, one.temporary, directory):
        exchange(directory, one.temporary, name)
        if os.lstat(one.temporary, dir_fd=directory).st_ino == inode:
            _discard(one, directory)
        raise LeftAloneError(Reason.REPLACED)


def _discard(one: Replaced, directory: int) -> None:
    """Remove what an undo wrote to the temporary name, if anything is there."""
    found = status_at(one.temporary, directory)
    if found is None:
        return
    if one.is_folder and stat.S_ISDIR(found.st_mode):
        discard_folder(one)
        return
    os.unlink(one.temporary, dir_fd=directory)


def _write_anew(one: Replaced, source: bytes, directory: int, journal: ReclaimJournal) -> int:
    """Write what was there to the temporary name, with all that it had; returns the inode."""
    if not one.is_folder:
        return _write_file(one, source, directory)
    try:
        return write_folder(one, source, directory, listed(journal, one.number))
    except (OSError, LeftAloneError):
        _discard(one, directory)
        raise


def _write_file(one: Replaced, source: bytes, directory: int) -> int:
    """Write the original's bytes to the temporary name, with all that the file had.

    Returns the inode.
    """
    descriptor = os.open(one.temporary, _NEW, 0o600, dir_fd=directory)
    try:
        fill(one, source, descriptor, one.algorithm)
        os.fsync(descriptor)
        return os.fstat(descriptor).st_ino
    except (OSError, LeftAloneError):
        os.unlink(one.temporary, dir_fd=directory)
        raise
    finally:
        os.close(descriptor)
