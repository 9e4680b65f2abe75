"""Whole directories that one link could take the place of, and why others are left alone."""

from __future__ import annotations

import os
import stat
from collections import Counter
from dataclasses import field, replace
from typing import TYPE_CHECKING

from dataguard.actions.golddirectories import GoldDirectories
from dataguard.core.paths import display
from dataguard.core.reclaim import link_cost, refused_in_folder
from dataguard.core.wholefolders import candidates, is_within
from dataguard.model.dataclass import dataclass
from dataguard.model.reclaim import Left, Method, Reason, ReclaimStep
from dataguard.stores.flags import has_flag
from dataguard.stores.folderpairs import Signature, opened_pairs
from dataguard.stores.reclaimcheck import LeftAloneError
from dataguard.stores.reclaiming import left_for
from dataguard.stores.reclaimlook import attributes_at, look, state_of
from dataguard.stores.standing import standing_in

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence

    from dataguard.actions.context import Context
    from dataguard.actions.goldfacts import GoldFacts
    from dataguard.actions.reclaimplaces import ReclaimPlaces
    from dataguard.core.reclaim import ReclaimWish
    from dataguard.core.wholefolders import Candidate
    from dataguard.model.copies import Copy, FolderCopy
    from dataguard.stores.folderpairs import FolderGold, Pair

__all__ = ["FolderPlanner"]

_BLOCK = 512  # stat(2): the unit of st_blocks


@dataclass(slots=True)
class _Tally:
    """What was seen of a folder so far: `freed` is what its removal would free."""

    files: int = 0
    bytes: int = 0
    freed: int = 0
    shareable: bool = False
    signature: Signature = field(default_factory=Signature)
    names: Counter[int] = field(default_factory=Counter)
    links: dict[int, int] = field(default_factory=dict)
    top: os.stat_result | None = None


class FolderPlanner:
    """Judges directories one after the other; `copies` are exact ones by path."""

    def __init__(
        self,
        ctx: Context,
        facts: GoldFacts,
        places: ReclaimPlaces,
        wish: ReclaimWish,
        copies: Mapping[bytes, Copy],
    ) -> None:
        self._directories = GoldDirectories(ctx)
        self._facts = facts
        self._places = places
        self._wish = wish
        self._copies = copies

    def planned(
        self, folders: Sequence[FolderCopy]
    ) -> Iterator[tuple[ReclaimStep, FolderGold] | Left]:
        """Yield each directory that can become a link, then those that are left alone.

        Directories that hold more or less than gold are told where they are among `folders`: others
        only have some copies in them.

        Raises:
            CatalogDamagedError: a manifest cannot be trusted.
        """
        if self._wish.method is Method.DEDUPE:  # makes no links
            return
        resembling = {one.path for one in folders}
        done: set[bytes] = set()
        left: dict[bytes, Left] = {}
        for candidate in candidates(self._copies.values()):
            if is_within(candidate.directory, done):
                continue
            found = self._judge(candidate)
            if isinstance(found, Left):
                left.setdefault(candidate.directory, found)
            elif found is not None:
                done.add(candidate.directory)
                yield found
        kept = {path: one for path, one in left.items() if path not in done}
        yield from _worth_telling(kept, resembling)

    def _judge(self, candidate: Candidate) -> tuple[ReclaimStep, FolderGold] | Left | None:
        """Return what becomes of a directory; None where no link is an answer."""
        directory = candidate.directory
        mount = self._places.mount_near(directory, candidate.dataset, candidate.version)
        if mount is None or directory == os.fsencode(mount.workspace):
            return None
        target = os.path.join(os.fsencode(mount.target), candidate.prefix).rstrip(b"/")
        if not os.path.isdir(target):  # the mount shows less than the version
            return None
        try:
            return self._judged(candidate, target)
        except LeftAloneError as err:
            return Left(directory, err.reason, 0, err.detail)
        except OSError as err:
            return left_for(directory, 0, err)

    def _judged(self, candidate: Candidate, target: bytes) -> tuple[ReclaimStep, FolderGold] | None:
        directory = candidate.directory
        gold = self._directories.gold(candidate)
        with opened_pairs(directory, target, gold) as pairs:
            for _ in pairs:  # whole or not: nothing else is of interest before that is sure
                pass
        self._check_place(directory)
        tally = _Tally()
        with opened_pairs(directory, target, gold) as pairs:
            for pair in pairs:
                self._take(pair, directory, target, tally)
        _check_names(tally)
        if tally.shareable:  # its files share blocks, and stay files
            return None
        step = self._step(candidate, target, tally)
        return None if step is None else (step, replace(gold, signature=tally.signature.digest()))

    def _check_place(self, directory: bytes) -> None:
        """Refuse a directory for where it lies, and what lies or works in it."""
        places = self._places
        if places.is_in_gold(directory) or places.holds_gold(directory):
            raise LeftAloneError(Reason.GOLD)
        mounted = places.mounts_touching(directory)
        if mounted:
            raise LeftAloneError(Reason.MOUNTED, mounted)
        if places.touches_outputs(directory):
            raise LeftAloneError(Reason.OUTPUTS)
        process = standing_in(directory)
        if process is not None:
            raise LeftAloneError(Reason.IN_USE, f"process {process} works in it")

    def _take(self, pair: Pair, directory: bytes, target: bytes, tally: _Tally) -> None:
        """Take one entry more, unless something speaks against it."""
        old, new = _joined(directory, pair.path), _joined(target, pair.path)
        status = pair.status
        tally.top = tally.top or status
        tally.signature.add(pair.path, status)
        if status.st_uid != tally.top.st_uid:
            raise LeftAloneError(Reason.FOREIGN_INSIDE, _told(pair.path))
        if stat.S_ISREG(status.st_mode):
            self._take_file(pair, old, new, tally)
        elif attributes_at(pair.name, pair.at):
            raise LeftAloneError(Reason.ATTRIBUTES, _told(pair.path))
        else:
            tally.freed += status.st_blocks * _BLOCK
        if stat.S_ISLNK(status.st_mode):
            return
        if has_flag(pair.name, pair.at):
            raise LeftAloneError(Reason.IMMUTABLE, _told(pair.path))
        if not self._places.is_readable(old, new, status.st_uid, status.st_gid):
            raise LeftAloneError(Reason.UNREADABLE, _told(pair.path))

    def _take_file(self, pair: Pair, old: bytes, new: bytes, tally: _Tally) -> None:
        copy = self._copies.get(old)
        if pair.status.st_size:
            self._check_same(copy, pair)
        original = new if copy is None or copy.original is None else copy.original
        seen = look(old, original)
        reason = refused_in_folder(copy, seen, self._wish)
        if reason is None and os.path.samestat(pair.status, pair.shown):
            reason = Reason.GOLD
        if reason is not None:
            raise LeftAloneError(reason, _told(pair.path))
        tally.files += 1
        tally.bytes += pair.status.st_size
        tally.freed += seen.freed if _is_first_name(pair.status, tally) else 0
        tally.shareable |= seen.shareable and self._wish.method is not Method.LINK

    def _check_same(self, copy: Copy | None, pair: Pair) -> None:
        """Make sure that what the search found is what the version has at this very path."""
        if copy is None or pair.gold is None or copy.original is None:
            raise LeftAloneError(Reason.DIFFERENT, _told(pair.path))
        reason, detail = self._facts.doubt(copy)
        if reason is not None:
            raise LeftAloneError(reason, detail)
        if self._facts.of(copy).digest != pair.gold.digest:
            raise LeftAloneError(Reason.NOT_WHOLE, _told(pair.path))
        if not copy.original.startswith(b"/"):
            raise LeftAloneError(Reason.NO_WAY, "no file on this host could be brought back from")

    def _step(self, one: Candidate, target: bytes, tally: _Tally) -> ReclaimStep | None:
        if self._wish.uid not in (0, tally.top.st_uid if tally.top else 0):
            raise LeftAloneError(Reason.FOREIGN)
        gain = tally.freed - link_cost(target, self._wish)
        if tally.top is None or gain <= 0:
            return None
        return ReclaimStep(
            path=one.directory,
            method=Method.LINK,
            dataset=one.dataset,
            version=one.version,
            entry=one.prefix,
            original=target,
            bytes=tally.bytes,
            reclaimable=gain,
            state=state_of(tally.top),
            target=target,
            folder=True,
            files=tally.files,
        )


def _worth_telling(left: Mapping[bytes, Left], resembling: Container[bytes]) -> Iterator[Left]:
    """Yield why directories stay, of those in one another with one reason the outermost only."""
    told: dict[Reason, set[bytes]] = {}
    for path, one in left.items():
        above = told.setdefault(one.reason, set())
        is_one = one.reason is not Reason.NOT_WHOLE or path in resembling
        if is_one and not is_within(path, above):
            above.add(path)
            yield one


def _is_first_name(status: os.stat_result, tally: _Tally) -> bool:
    """Note one name of a file; whether it is the first."""
    if status.st_nlink == 1:
        return True
    tally.names[status.st_ino] += 1
    tally.links[status.st_ino] = status.st_nlink
    return tally.names[status.st_ino] == 1


def _check_names(tally: _Tally) -> None:
    """Make sure that no file has a name elsewhere: it would stay, and another would come back."""
    if any(tally.links[inode] > count for inode, count in tally.names.items()):
        raise LeftAloneError(Reason.HARD_LINKS)


def _joined(directory: bytes, path: bytes) -> bytes:
    return os.path.join(directory, path) if path else directory


def _told(path: bytes) -> str:
    return f"`{display(path)}`" if path else ""
