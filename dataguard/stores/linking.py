"""A link that takes the place of a file, so that a crash loses nothing, and the way back.

Each step is durable before the next: a write lease on the file (nobody has it open); its bytes
equal those that the link leads to, and these have the digest of the version; the journal says what
is to come; the link is made under a temporary name beside the file; both change names in one step
(renameat2(2)); the journal says so; the file, now under the temporary name, is removed. Until then
it can change back, and `recover` has it do so.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING

from dataguard.model.reclaim import Reason, Replaced
from dataguard.stores.exchange import exact_directory, exchange, make_link
from dataguard.stores.hashing import new_hash
from dataguard.stores.reclaimcheck import LeftAloneError, check_equal, check_ours, refuse_digest
from dataguard.stores.reclaimjournal import Mark
from dataguard.stores.reclaimlook import opened
from dataguard.stores.soleuse import is_sole

if TYPE_CHECKING:
    from dataguard.model.digest import Algorithm
    from dataguard.model.reclaim import ReclaimStep
    from dataguard.stores.reclaimcheck import Gold
    from dataguard.stores.reclaimjournal import ReclaimJournal

__all__ = ["bring_back", "recover", "replace_by_link"]

_PIECE = 1 << 20
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def replace_by_link(step: ReclaimStep, gold: Gold, journal: ReclaimJournal, number: int) -> int:
    """Put a link in the place of a file; returns the bytes that were given back.

    Raises:
        LeftAloneError: the file is in use, was touched, or differs; it is what it was.
        OSError: something cannot be read or changed; the file is what it was.
        StoreUnreachableError: the journal cannot be written.
    """
    target = step.target or step.original
    with opened(step.path) as (directory, copy):
        check_ours(step, copy)
        check_equal(copy, target, gold)
        if not is_sole(copy):
            raise LeftAloneError(Reason.IN_USE)
        one = _replaced(step, gold, os.fstat(copy), number, journal.id)
        journal.begin(one)
        _exchange_for_link(one, directory, copy, journal)
    return step.reclaimable


def _exchange_for_link(one: Replaced, directory: int, copy: int, journal: ReclaimJournal) -> None:
    name = os.path.basename(one.path)
    make_link(directory, one.temporary, one.target, uid=one.uid, gid=one.gid)
    os.fsync(directory)
    try:
        exchange(directory, one.temporary, name)
    except OSError:
        os.unlink(one.temporary, dir_fd=directory)
        journal.mark(one.number, Mark.DROPPED)
        raise
    if not _is_the_file(one, one.temporary, directory):
        _back(one, name, directory, journal)  # another file had come to the name
        raise LeftAloneError(Reason.CHANGED)
    os.fsync(directory)
    journal.mark(one.number, Mark.EXCHANGED)
    if not is_sole(copy):
        _back(one, name, directory, journal)
        raise LeftAloneError(Reason.IN_USE)
    os.unlink(one.temporary, dir_fd=directory)
    os.fsync(directory)
    journal.mark(one.number, Mark.DONE)


def _back(one: Replaced, name: bytes, directory: int, journal: ReclaimJournal) -> None:
    """Let file and link change back, and remove the link."""
    exchange(directory, one.temporary, name)
    os.fsync(directory)
    os.unlink(one.temporary, dir_fd=directory)
    os.fsync(directory)
    journal.mark(one.number, Mark.DROPPED)


def recover(one: Replaced, journal: ReclaimJournal) -> int:
    """Bring a file that a crash left in between back to what it was, or the link to its end.

    Returns 0.

    Raises:
        LeftAloneError: something else is there by now.
        OSError: something cannot be looked at or changed.
        StoreUnreachableError: the journal cannot be written.
    """
    parent, name = os.path.split(one.path)
    with exact_directory(parent) as directory:
        if _is_our_link(one, one.temporary, directory):  # not exchanged, or changed back
            os.unlink(one.temporary, dir_fd=directory)
            os.fsync(directory)
            journal.mark(one.number, Mark.DROPPED)
        elif _is_our_link(one, name, directory):
            if _is_the_file(one, one.temporary, directory):
                _back(one, name, directory, journal)
            elif _status(one.temporary, directory) is None:
                os.fsync(directory)
                journal.mark(one.number, Mark.DONE)
            else:
                raise LeftAloneError(Reason.INTERRUPTED, _beside(one))
        elif _status(one.temporary, directory) is None:
            journal.mark(one.number, Mark.DROPPED)
        else:
            raise LeftAloneError(Reason.INTERRUPTED, _beside(one))
    return 0


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
        if _is_our_link(one, name, directory):
            with contextlib.suppress(FileNotFoundError):  # what an interrupted undo wrote
                os.unlink(one.temporary, dir_fd=directory)
            _write_anew(one, source, directory)
            exchange(directory, one.temporary, name)
            os.fsync(directory)
            if not _is_our_link(one, one.temporary, directory):
                exchange(directory, one.temporary, name)
                os.unlink(one.temporary, dir_fd=directory)
                raise LeftAloneError(Reason.REPLACED)
        elif not _is_our_link(one, one.temporary, directory):
            raise LeftAloneError(Reason.REPLACED)
        os.unlink(one.temporary, dir_fd=directory)
        os.fsync(directory)
        journal.mark(one.number, Mark.UNDONE)
    return one.size


def _write_anew(one: Replaced, source: bytes, directory: int) -> None:
    """Write the original's bytes to the temporary name, with all that the file had."""
    descriptor = os.open(one.temporary, _NEW, 0o600, dir_fd=directory)
    try:
        _fill(one, source, descriptor)
    except (OSError, LeftAloneError):
        os.unlink(one.temporary, dir_fd=directory)
        raise
    finally:
        os.close(descriptor)


def _fill(one: Replaced, source: bytes, descriptor: int) -> None:
    with opened(source) as (_, original):
        digest = _copied(original, descriptor, one.algorithm)
    refuse_digest(digest, one.digest)
    if (os.fstat(descriptor).st_uid, os.fstat(descriptor).st_gid) != (one.uid, one.gid):
        os.fchown(descriptor, one.uid, one.gid)
    os.fchmod(descriptor, stat.S_IMODE(one.mode))  # after the owner, whose change clears bits
    os.utime(descriptor, ns=(one.atime_ns, one.mtime_ns))
    os.fsync(descriptor)


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


def _replaced(
    step: ReclaimStep, gold: Gold, status: os.stat_result, number: int, reclaim_id: str
) -> Replaced:
    temporary = f".dataguard-reclaim-{reclaim_id}-{number}".encode()
    return Replaced(
        number=number,
        path=step.path,
        temporary=temporary,
        target=step.target or step.original,
        dataset=step.dataset,
        version=step.version,
        entry=step.entry,
        algorithm=gold.algorithm,
        digest=gold.digest,
        device=status.st_dev,
        inode=status.st_ino,
        size=status.st_size,
        reclaimable=step.reclaimable,
        mode=status.st_mode,
        uid=status.st_uid,
        gid=status.st_gid,
        atime_ns=status.st_atime_ns,
        mtime_ns=status.st_mtime_ns,
    )


def _is_the_file(one: Replaced, name: bytes, directory: int) -> bool:
    found = _status(name, directory)
    if found is None:
        return False
    facts = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
    return facts == (one.device, one.inode, one.size, one.mtime_ns)


def _is_our_link(one: Replaced, name: bytes, directory: int) -> bool:
    found = _status(name, directory)
    if found is None or not stat.S_ISLNK(found.st_mode):
        return False
    return os.readlink(name, dir_fd=directory) == one.target


def _status(name: bytes, directory: int) -> os.stat_result | None:
    try:
        return os.lstat(name, dir_fd=directory)
    except FileNotFoundError:
        return None


def _beside(one: Replaced) -> str:
    return f"beside it lies {os.fsdecode(one.temporary)}"
