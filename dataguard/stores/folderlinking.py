"""A link that takes the place of a whole folder, so that a crash loses nothing (see `linking`).

Every file is taken for ourselves and compared byte for byte; what is in the folder is listed; link
and folder change names in one step. Then the folder, which nobody finds by its name any more, is
looked at once more: where anything in it was touched or is in use, they change back. The journal
says that it goes, and it is removed entry by entry, each only if it is what the list says.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from dataguard.core.paths import display
from dataguard.model.reclaim import Reason, Replaced
from dataguard.model.reclaimfolder import FolderEntry
from dataguard.stores.descent import Descent
from dataguard.stores.exchange import exact_directory
from dataguard.stores.folderlist import listed, write_list
from dataguard.stores.folderpairs import Signature, levels, opened_pairs
from dataguard.stores.linking import beside, exchange_for_link, put_back, temporary_name
from dataguard.stores.openfile import open_file
from dataguard.stores.reclaimcheck import Gold, LeftAloneError, check_equal
from dataguard.stores.reclaimjournal import Mark
from dataguard.stores.soleuse import Use, take_sole
from dataguard.stores.standing import standing_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.model.reclaim import ReclaimStep
    from dataguard.stores.folderpairs import FolderGold, Pair
    from dataguard.stores.reclaimjournal import ReclaimJournal

__all__ = ["recover_removal", "replace_folder"]

_OWN = 0o700


def replace_folder(
    step: ReclaimStep, gold: FolderGold, journal: ReclaimJournal, number: int
) -> int:
    """Put a link in the place of a folder; returns the bytes that were given back.

    Raises:
        LeftAloneError: something in it is in use, was touched, or differs; it is what it was.
        OSError: something cannot be read or changed; the folder is what it was.
        StoreUnreachableError: the journal cannot be written.
    """
    name = os.path.basename(step.path)
    with exact_directory(os.path.dirname(step.path)) as directory:
        _refuse_use(step.path)
        write_list(journal, number, _compared(step, gold))
        one = _replaced(step, gold, os.lstat(name, dir_fd=directory), number, journal.id)
        journal.begin(one)
        exchange_for_link(one, directory, journal)
        try:
            _check_untouched(one, gold)
        except (LeftAloneError, OSError):
            put_back(one, name, directory, journal)
            raise
        journal.mark(number, Mark.REMOVING)
        _remove_folder(one, directory, journal)
    return step.reclaimable


def recover_removal(one: Replaced, journal: ReclaimJournal) -> int:
    """Go on with the removal of a folder that a crash interrupted; a link is in its place.

    Returns 0.

    Raises:
        CatalogDamagedError: the list of what was in it is not there.
        LeftAloneError: something in it is in use or is not what the list says; it stays.
        OSError: something cannot be removed.
        StoreUnreachableError: the journal cannot be written.
    """
    with exact_directory(os.path.dirname(one.path)) as directory:
        _remove_folder(one, directory, journal)
    return 0


def _remove_folder(one: Replaced, directory: int, journal: ReclaimJournal) -> None:
    """Remove a folder whose place a link has taken, entry by entry; none that was touched since."""
    folder = os.path.join(os.path.dirname(one.path), one.temporary)
    with suppress(FileNotFoundError), Descent(folder, exact=True) as tree:
        if os.fstat(tree.root).st_ino != one.inode:
            raise LeftAloneError(Reason.INTERRUPTED, beside(one))
        found = []
        for entry in listed(journal, one.number):
            if stat.S_ISDIR(entry.mode):
                found.append(entry.path)
                _let_remove(tree, entry)
            else:
                _remove(tree, entry, one)
        for path in reversed(found[1:]):
            parent, name = os.path.split(path)
            with suppress(FileNotFoundError):  # an interrupted removal came this far
                os.rmdir(name, dir_fd=tree.open(parent))
        os.rmdir(one.temporary, dir_fd=directory)
    os.fsync(directory)
    journal.mark(one.number, Mark.DONE)


def _compared(step: ReclaimStep, gold: FolderGold) -> Iterator[FolderEntry]:
    """Yield what is in a folder, each file once it was compared with what the link will show."""
    seen = Signature()
    firsts: dict[int, bytes] = {}
    with opened_pairs(step.path, step.target or step.original, gold) as pairs:
        for pair in pairs:
            seen.add(pair.path, pair.status)
            first = pair.path
            if stat.S_ISREG(pair.status.st_mode):
                if pair.status.st_nlink > 1:
                    first = firsts.setdefault(pair.status.st_ino, pair.path)
                if first == pair.path:
                    _compare_file(pair, gold)
            yield _entry(pair, None if first == pair.path else first)
    if seen.digest() != gold.signature:
        raise LeftAloneError(Reason.CHANGED)


def _compare_file(pair: Pair, gold: FolderGold) -> None:
    if pair.gold is None or os.path.samestat(pair.status, pair.shown):
        raise LeftAloneError(Reason.GOLD, f"`{display(pair.path)}`")
    with _taken(pair.name, pair.at, pair.path) as copy:
        shown = b"/proc/self/fd/%d/%s" % (pair.shown_at, pair.name)
        try:
            check_equal(copy, shown, Gold(gold.algorithm, pair.gold.digest, trusted=False))
        except LeftAloneError as err:
            raise LeftAloneError(err.reason, f"`{display(pair.path)}`") from err


@contextmanager
def _taken(name: bytes, directory: int, path: bytes) -> Iterator[int]:
    """Hold a regular file that nobody else has open.

    Raises:
        LeftAloneError: somebody has, or nobody can tell.
        OSError: it cannot be opened.
    """
    descriptor = open_file(name, directory)
    try:
        use = take_sole(descriptor)
        if use is not Use.SOLE:
            reason = Reason.IN_USE if use is Use.SHARED else Reason.UNKNOWN_USE
            raise LeftAloneError(reason, f"`{display(path)}`")
        yield descriptor
    finally:
        os.close(descriptor)


def _check_untouched(one: Replaced, gold: FolderGold) -> None:
    """Make sure that a folder under its temporary name is the one that was compared, and unused."""
    folder = os.path.join(os.path.dirname(one.path), one.temporary)
    now = Signature()
    _refuse_use(folder)
    with Descent(folder, exact=True) as tree:
        for level in levels(tree):
            now.add(level.path, level.status)
            for name, status in level.inside.items():
                if stat.S_ISDIR(status.st_mode):
                    continue
                now.add(level.below(name), status)
                if stat.S_ISREG(status.st_mode):
                    with _taken(name, level.at, level.below(name)):
                        pass
    if now.digest() != gold.signature:
        raise LeftAloneError(Reason.CHANGED)


def _refuse_use(place: bytes) -> None:
    found = standing_in(place)
    if found is not None:
        raise LeftAloneError(Reason.IN_USE, f"process {found} works in it")


def _let_remove(tree: Descent, entry: FolderEntry) -> None:
    """Give a directory that goes the permissions that its owner needs to empty it."""
    with suppress(FileNotFoundError):
        at = tree.open(entry.path)
        if entry.mode & _OWN != _OWN:
            os.fchmod(at, stat.S_IMODE(entry.mode) | _OWN)


def _remove(tree: Descent, entry: FolderEntry, one: Replaced) -> None:
    """Remove a file or link if it is what the list says, and nobody has it open."""
    parent, name = os.path.split(entry.path)
    with suppress(FileNotFoundError):  # an interrupted removal came this far
        at = tree.open(parent)
        if not stat.S_ISREG(entry.mode):
            _check_same(os.lstat(name, dir_fd=at), entry, one)
            os.unlink(name, dir_fd=at)
            return
        with _taken(name, at, entry.path) as file:
            _check_same(os.fstat(file), entry, one)
            os.unlink(name, dir_fd=at)


def _check_same(now: os.stat_result, entry: FolderEntry, one: Replaced) -> None:
    facts = (now.st_ino, now.st_mode, now.st_uid, now.st_gid, now.st_size, now.st_mtime_ns)
    known = (entry.inode, entry.mode, entry.uid, entry.gid, entry.size, entry.mtime_ns)
    # With other names of it gone, the time of the last change is that of their going.
    if facts != known or (entry.links == 1 and now.st_ctime_ns != entry.ctime_ns):
        raise LeftAloneError(Reason.INTERRUPTED, beside(one))


def _entry(pair: Pair, first: bytes | None) -> FolderEntry:
    status = pair.status
    return FolderEntry(
        path=pair.path,
        mode=status.st_mode,
        uid=status.st_uid,
        gid=status.st_gid,
        size=status.st_size,
        inode=status.st_ino,
        links=status.st_nlink,
        atime_ns=status.st_atime_ns,
        mtime_ns=status.st_mtime_ns,
        ctime_ns=status.st_ctime_ns,
        target=pair.target,
        digest=b"" if pair.gold is None else pair.gold.digest,
        first=first,
    )


def _replaced(
    step: ReclaimStep, gold: FolderGold, status: os.stat_result, number: int, reclaim_id: str
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
        digest=b"",
        device=status.st_dev,
        inode=status.st_ino,
        size=step.bytes,
        reclaimable=step.reclaimable,
        mode=status.st_mode,
        uid=status.st_uid,
        gid=status.st_gid,
        atime_ns=status.st_atime_ns,
        mtime_ns=status.st_mtime_ns,
        files=step.files,
    )
