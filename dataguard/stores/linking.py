"""A link that takes the place of a file, so that a crash loses nothing, and what one leaves behind.

Each step is durable before the next: a write lease on the file (nobody has it open); its bytes
equal those that the link leads to, and these have the digest of the version; the journal says what
is to come; the link is made under a temporary name beside the file; both change names in one step
(renameat2(2)); the journal says so; the file, now under the temporary name, is removed. Until then
it can change back, and `recover` has it do so.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dataguard.model.reclaim import Reason, Replaced
from dataguard.stores.exchange import exact_directory, exchange, make_link
from dataguard.stores.linkplace import is_our_link, is_the_file, is_untouched, status_at
from dataguard.stores.reclaimcheck import (
    LeftAloneError,
    check_equal,
    check_ours,
    check_untouched,
)
from dataguard.stores.reclaimjournal import Mark
from dataguard.stores.reclaimlook import opened
from dataguard.stores.soleuse import is_sole

if TYPE_CHECKING:
    from dataguard.model.reclaim import ReclaimStep
    from dataguard.stores.reclaimcheck import Gold
    from dataguard.stores.reclaimjournal import ReclaimJournal

__all__ = [
    "beside",
    "exchange_for_link",
    "put_back",
    "recover",
    "replace_by_link",
    "temporary_name",
]


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
        check_untouched(step, copy)  # reading took its time: names and modes need no open file
        if not is_sole(copy):
            raise LeftAloneError(Reason.IN_USE)
        one = _replaced(step, gold, os.fstat(copy), number, journal.id)
        journal.begin(one)
        exchange_for_link(one, directory, journal)
        _remove(one, directory, copy, journal)
    return step.reclaimable


def exchange_for_link(one: Replaced, directory: int, journal: ReclaimJournal) -> None:
    """Let a new link and a file or folder change names; the journal says so on return.

    Raises:
        LeftAloneError: it was touched meanwhile; it has its name back.
        OSError: it cannot be done; nothing is changed.
        StoreUnreachableError: the journal cannot be written.
    """
    name = os.path.basename(one.path)
    make_link(directory, one.temporary, one.target, uid=one.uid, gid=one.gid)
    os.fsync(directory)
    try:
        exchange(directory, one.temporary, name)
    except OSError:
        os.unlink(one.temporary, dir_fd=directory)
        journal.mark(one.number, Mark.DROPPED)
        raise
    if not is_untouched(one, directory):
        put_back(
            one, name, directory, journal
        )  # another file had come to the name, or a link to it
        raise LeftAloneError(Reason.CHANGED)
    os.fsync(directory)
    journal.mark(one.number, Mark.EXCHANGED)


def _remove(one: Replaced, directory: int, copy: int, journal: ReclaimJournal) -> None:
    """Remove the file that a link has taken the place of, if nobody asked for it since."""
    if not is_sole(copy):
        put_back(one, os.path.basename(one.path), directory, journal)
        raise LeftAloneError(Reason.IN_USE)
    os.unlink(one.temporary, dir_fd=directory)
    os.fsync(directory)
    journal.mark(one.number, Mark.DONE)


def put_back(one: Replaced, name: bytes, directory: int, journal: ReclaimJournal) -> None:
    """Let file or folder and link change back, and remove the link.

    Raises:
        LeftAloneError: a third file has come to the name meanwhile; it keeps it.
    """
    exchange(directory, one.temporary, name)
    os.fsync(directory)
    if not is_our_link(one, one.temporary, directory):
        exchange(directory, one.temporary, name)
        raise LeftAloneError(Reason.INTERRUPTED, beside(one))
    os.unlink(one.temporary, dir_fd=directory)
    os.fsync(directory)
    journal.mark(one.number, Mark.DROPPED)


def recover(one: Replaced, journal: ReclaimJournal) -> int:
    """Bring a file or folder that a crash left in between back to what it was.

    A link whose file is gone is brought to its end. Returns 0.

    Raises:
        LeftAloneError: something else is there by now.
        OSError: something cannot be looked at or changed.
        StoreUnreachableError: the journal cannot be written.
    """
    parent, name = os.path.split(one.path)
    with exact_directory(parent) as directory:
        if is_our_link(one, one.temporary, directory):  # not exchanged, or changed back
            os.unlink(one.temporary, dir_fd=directory)
            os.fsync(directory)
            journal.mark(one.number, Mark.DROPPED)
        elif is_our_link(one, name, directory):
            if is_the_file(one, directory):
                put_back(one, name, directory, journal)
            elif status_at(one.temporary, directory) is None:
                os.fsync(directory)
                journal.mark(one.number, Mark.DONE)
            else:
                raise LeftAloneError(Reason.INTERRUPTED, beside(one))
        elif status_at(one.temporary, directory) is None:
            journal.mark(one.number, Mark.DROPPED)
        else:
            raise LeftAloneError(Reason.INTERRUPTED, beside(one))
    return 0


def _replaced(
    step: ReclaimStep, gold: Gold, status: os.stat_result, number: int, reclaim_id: str
) -> Replaced:
    return Replaced(
        number=number,
        path=step.path,
        temporary=temporary_name(reclaim_id, number),
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


def temporary_name(reclaim_id: str, number: int) -> bytes:
    """Return the name beside a file or folder under which one of the two lies in between."""
    return f".dataguard-reclaim-{reclaim_id}-{number}".encode()


def beside(one: Replaced) -> str:
    """Return where to look for what was left under its temporary name."""
    return f"beside it lies {os.fsdecode(one.temporary)}"
