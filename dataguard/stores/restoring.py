"""A file that comes back in the place of a link, with all that it had (see `linking`)."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING

from dataguard.model.reclaim import Reason
from dataguard.stores.exchange import exact_directory, exchange
from dataguard.stores.hashing import new_hash
from dataguard.stores.linkplace import is_back, is_our_link, status_at
from dataguard.stores.reclaimcheck import LeftAloneError, refuse_digest
from dataguard.stores.reclaimjournal import Mark
from dataguard.stores.reclaimlook import opened

if TYPE_CHECKING:
    from dataguard.model.digest import Algorithm
    from dataguard.model.reclaim import Replaced
    from dataguard.stores.reclaimjournal import ReclaimJournal

__all__ = ["bring_back"]

_PIECE = 1 << 20
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def bring_back(one: Replaced, source: bytes, journal: ReclaimJournal) -> int:
    """Put the bytes of `source` back in the place of a link, with all that the file had.

    Returns the size.

    Raises:
        LeftAloneError: the link was replaced, or `source` has other bytes; nothing is changed.
        OSError: something cannot be read or changed.
        StoreUnreachableError: the journal cannot be written.
    """
    parent, name = os.path.split(one.path)
    with exact_directory(parent) as directory:
        if is_our_link(one, name, directory):
            _exchange_for_file(one, source, directory)
        elif not is_our_link(one, one.temporary, directory) and not is_back(one, directory):
            there = status_at(name, directory) is not None
            raise LeftAloneError(Reason.REPLACED, "" if there else "nothing is there")
        with contextlib.suppress(FileNotFoundError):  # an undo came this far and no further
            os.unlink(one.temporary, dir_fd=directory)
        os.fsync(directory)
        journal.mark(one.number, Mark.UNDONE)
    return one.size


def _exchange_for_file(one: Replaced, source: bytes, directory: int) -> None:
    """Write the file anew, and let it and the link change names."""
    name = os.path.basename(one.path)
    with contextlib.suppress(FileNotFoundError):  # what an interrupted undo wrote
        os.unlink(one.temporary, dir_fd=directory)
    inode = _write_anew(one, source, directory)
    exchange(directory, one.temporary, name)
    os.fsync(directory)
    if not is_our_link(one, one.temporary, directory):
        exchange(directory, one.temporary, name)
        if os.lstat(one.temporary, dir_fd=directory).st_ino == inode:
            os.unlink(one.temporary, dir_fd=directory)
        raise LeftAloneError(Reason.REPLACED)


def _write_anew(one: Replaced, source: bytes, directory: int) -> int:
    """Write the original's bytes to the temporary name, with all that the file had.

    Returns the inode.
    """
    descriptor = os.open(one.temporary, _NEW, 0o600, dir_fd=directory)
    try:
        _fill(one, source, descriptor)
        return os.fstat(descriptor).st_ino
    except (OSError, LeftAloneError):
        os.unlink(one.temporary, dir_fd=directory)
        raise
    finally:
        os.close(descriptor)


def _fill(one: Replaced, source: bytes, descriptor: int) -> None:
    with opened(source) as (_, original):
        digest = _copied(original, descriptor, one.algorithm)
    refuse_digest(digest, one.digest)
    _drop_access_list(descriptor)
    if (os.fstat(descriptor).st_uid, os.fstat(descriptor).st_gid) != (one.uid, one.gid):
        os.fchown(descriptor, one.uid, one.gid)
    os.fchmod(descriptor, stat.S_IMODE(one.mode))  # after the owner, whose change clears bits
    os.utime(descriptor, ns=(one.atime_ns, one.mtime_ns))
    os.fsync(descriptor)


def _drop_access_list(descriptor: int) -> None:
    """Take from a new file what its directory's default list grants: the file had no list."""
    try:
        os.removexattr(descriptor, "system.posix_acl_access")
    except OSError as err:
        if err.errno not in (errno.ENODATA, errno.EOPNOTSUPP):
            raise


def _copied(source: int, to: int, algorithm: Algorithm) -> bytes:
    """Copy all bytes by hand, so that nothing is shared; returns their digest."""
    digest, at = new_hash(algorithm)(), 0
    while piece := os.pread(source, _PIECE, at):
        digest.update(memoryview(piece))
        at += len(piece)
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(to, rest) :]
    return digest.digest()
