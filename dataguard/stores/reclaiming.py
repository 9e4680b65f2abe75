"""Giving back the blocks of copies, a file or folder at a time; what goes wrong is a value."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.core.extents import own_bytes, shared_bytes
from dataguard.model.reclaim import Left, Method, Reason
from dataguard.stores import folderlinking, linking, restoring
from dataguard.stores.extents import extents, share
from dataguard.stores.folderpairs import FolderGold
from dataguard.stores.reclaimcheck import LeftAloneError, check_digest, check_ours
from dataguard.stores.reclaimjournal import Mark
from dataguard.stores.reclaimlook import opened

if TYPE_CHECKING:
    from collections.abc import Callable

    from dataguard.model.reclaim import ReclaimStep, Replaced
    from dataguard.stores.reclaimcheck import Gold
    from dataguard.stores.reclaimjournal import ReclaimJournal

__all__ = ["bring_back", "give_back", "left_for", "recover"]


def give_back(
    step: ReclaimStep, gold: Gold | FolderGold, journal: ReclaimJournal, number: int
) -> int | Left:
    """Do one step; returns the bytes that were given back, or why the file is left as it is.

    Raises:
        CatalogDamagedError: what the version says of a folder cannot be trusted.
        StoreUnreachableError: the journal cannot be written.
    """
    if isinstance(gold, FolderGold):
        folder = gold
        return _tried(
            step.path,
            step.bytes,
            lambda: folderlinking.replace_folder(step, folder, journal, number),
        )
    act = _share if step.method is Method.DEDUPE else linking.replace_by_link
    return _tried(step.path, step.bytes, lambda: act(step, gold, journal, number))


def recover(journal: ReclaimJournal, number: int) -> Left | None:
    """Bring what a crash left in between back to what it was, or the link to its end.

    Raises:
        CatalogDamagedError: the list of what was in a folder is not there.
        StoreUnreachableError: the journal cannot be written.
    """
    one = journal.replaced[number]
    going = journal.marks[number] is Mark.REMOVING
    act = folderlinking.recover_removal if going else linking.recover
    found = _tried(one.path, one.size, lambda: act(one, journal))
    # Whatever the reason: a file that nobody could look after may lie under its temporary name.
    return replace(found, reason=Reason.INTERRUPTED) if isinstance(found, Left) else None


def bring_back(one: Replaced, source: bytes, journal: ReclaimJournal) -> int | Left:
    """Put the bytes back where a link took a file's place, with its owner, mode and times.

    `source` is the original; its bytes have the digest from before, or nothing is changed.
    Returns the size.

    Raises:
        StoreUnreachableError: the journal cannot be written.
    """
    return _tried(one.path, one.size, lambda: restoring.bring_back(one, source, journal))


def left_for(path: bytes, size: int, err: OSError) -> Left:
    """Return what an error means for a file: it is gone, or nobody could look or act."""
    gone = err.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR)
    reason = Reason.CHANGED if gone else Reason.FAILED
    return Left(path, reason, size, err.strerror or str(err))


def _tried(path: bytes, size: int, act: Callable[[], int]) -> int | Left:
    try:
        return act()
    except LeftAloneError as err:
        return Left(path, err.reason, size, err.detail)
    except OSError as err:
        return left_for(path, size, err)


def _share(step: ReclaimStep, gold: Gold, journal: ReclaimJournal, _number: int) -> int:
    with opened(step.path) as (_, copy), opened(step.original) as (_, original):
        check_ours(step, copy)
        if not gold.trusted:
            check_digest(original, gold)
        try:
            share(original, copy)
        except OSError as err:
            if err.errno == errno.EILSEQ:
                raise LeftAloneError(Reason.DIFFERENT) from err
            raise
        gained = step.reclaimable - _not_shared(copy, original)
        journal.share(step.path, gained)
        return gained


def _not_shared(copy: int, original: int) -> int:
    """Return what a file still has for itself where it should share everything (FIEMAP)."""
    mine, theirs = list(extents(copy)), list(extents(original))
    size, block = os.fstat(copy).st_size, os.fstatvfs(copy).f_bsize
    placed = sum(one.length for one in mine if one.placed)
    return min(placed - shared_bytes(mine, theirs), own_bytes(mine, size, block))
