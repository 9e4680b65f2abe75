"""A new file that gets the bytes of a version, and owner, mode and times of the one it replaces."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from dataguard.stores.hashing import new_hash
from dataguard.stores.reclaimcheck import refuse_digest
from dataguard.stores.reclaimlook import opened

if TYPE_CHECKING:
    from dataguard.model.digest import Algorithm
    from dataguard.model.reclaim import Replaced
    from dataguard.model.reclaimfolder import FolderEntry

__all__ = ["dress", "drop_default_list", "fill"]

_PIECE = 1 << 20


def fill(one: Replaced | FolderEntry, source: bytes, descriptor: int, algorithm: Algorithm) -> None:
    """Give a new file the bytes of `source`, which have the digest from before, and all else.

    Raises:
        LeftAloneError: `source` has other bytes.
        OSError: something cannot be read, written or set.
    """
    with opened(source) as (_, original):
        digest = _copied(original, descriptor, algorithm)
    refuse_digest(digest, one.digest)
    dress(one, descriptor)


def dress(one: Replaced | FolderEntry, descriptor: int) -> None:
    """Give a new file or directory the owner, mode and times of the one from before.

    What its directory's default list grants goes: the one from before had no list.

    Raises:
        OSError: something cannot be set.
    """
    _drop(descriptor, "system.posix_acl_access")
    if (os.fstat(descriptor).st_uid, os.fstat(descriptor).st_gid) != (one.uid, one.gid):
        os.fchown(descriptor, one.uid, one.gid)
    os.fchmod(descriptor, stat.S_IMODE(one.mode))  # after the owner, whose change clears bits
    os.utime(descriptor, ns=(one.atime_ns, one.mtime_ns))


def drop_default_list(directory: int) -> None:
    """Take from a new directory what it would pass on to all that is made in it.

    Raises:
        OSError: it cannot be done.
    """
    _drop(directory, "system.posix_acl_default")


def _drop(descriptor: int, attribute: str) -> None:
    try:
        os.removexattr(descriptor, attribute)
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
