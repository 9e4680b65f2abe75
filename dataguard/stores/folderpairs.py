"""A folder beside the part of a version that it repeats, entry by entry, and beside its mount.

Directories are opened one component at a time, through no link, and come before what is in them.
"""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dataguard.core.paths import display, leaves_root
from dataguard.model.dataclass import dataclass
from dataguard.model.entry import Kind
from dataguard.model.reclaim import Reason
from dataguard.stores.descent import Descent
from dataguard.stores.reclaimcheck import LeftAloneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dataguard.model.digest import Algorithm
    from dataguard.model.pinned import PinnedEntry

__all__ = ["FolderGold", "Level", "Pair", "Signature", "levels", "opened_pairs"]


@dataclass(frozen=True, slots=True)
class FolderGold:
    """What the version says of the directory that a folder repeats.

    `children` returns what is in a directory of it, by name: entries, and None for directories
    with something in them. `signature` is that of the folder when it was looked at.
    """

    algorithm: Algorithm
    children: Callable[[bytes], Mapping[bytes, PinnedEntry | None]]
    signature: bytes = b""


@dataclass(frozen=True, slots=True)
class Level:
    """One directory of a folder, by its relative path; `at` is good until the next one comes."""

    path: bytes
    at: int
    status: os.stat_result
    inside: Mapping[bytes, os.stat_result]

    def below(self, name: bytes) -> bytes:
        """Return the relative path of a name in it."""
        return self.path + b"/" + name if self.path else name


@dataclass(frozen=True, slots=True)
class Pair:
    """An entry of a folder and the same in the version and its mount, of one kind and one name.

    `at` and `shown_at` are the directories that hold them, for as long as no other pair is asked
    for; for the folder and directories in it, they are these themselves and `name` is empty.
    """

    path: bytes
    name: bytes
    at: int
    status: os.stat_result
    shown_at: int
    shown: os.stat_result
    gold: PinnedEntry | None
    target: bytes = b""


class Signature:
    """A digest of all that tells whether something in a folder was touched, in walking order.

    The time at which the folder itself got its name is left out: it gets another one.
    """

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)

    def add(self, path: bytes, status: os.stat_result) -> None:
        """Take one entry more."""
        facts = (
            *(path, status.st_mode, status.st_uid, status.st_gid, status.st_size),
            *(status.st_ino, status.st_nlink, status.st_mtime_ns),
            status.st_ctime_ns if path else 0,
        )
        self._hash.update(repr(facts).encode())

    def digest(self) -> bytes:
        """Return the digest of what was taken."""
        return self._hash.digest()


def levels(tree: Descent) -> Iterator[Level]:
    """Yield the directories of a tree, each before those in it, in one order always.

    Raises:
        OSError: one cannot be looked at.
    """
    pending = [b""]
    while pending:
        path = pending.pop()
        at = tree.open(path)
        names = sorted(map(os.fsencode, os.listdir(at)))
        inside = {name: os.lstat(name, dir_fd=at) for name in names}
        level = Level(path, at, os.fstat(at), inside)
        yield level
        found = (name for name, status in inside.items() if stat.S_ISDIR(status.st_mode))
        pending += reversed([level.below(name) for name in found])


@contextmanager
def opened_pairs(folder: bytes, target: bytes, gold: FolderGold) -> Iterator[Iterator[Pair]]:
    """Hold a folder and the directory that a link would lead to, both without links on the way.

    The pairs raise:
        LeftAloneError: the folder holds anything else than the version, or its mount does.
        OSError: something cannot be looked at.
    """
    with Descent(folder, exact=True) as ours, Descent(target, exact=True) as shown:
        yield _pairs(ours, shown, gold)


def _pairs(ours: Descent, shown: Descent, gold: FolderGold) -> Iterator[Pair]:
    device = os.fstat(ours.root).st_dev
    for level in levels(ours):
        if level.status.st_dev != device:
            raise LeftAloneError(Reason.MOUNTED, _told(level.path))
        known = gold.children(level.path)
        shown_at = shown.open(level.path)
        _check_names(level, set(known), set(map(os.fsencode, os.listdir(shown_at))))
        yield Pair(level.path, b"", level.at, level.status, shown_at, os.fstat(shown_at), None)
        for name, status in level.inside.items():
            pair = _pair(level, name, status, shown_at, known[name])
            if not stat.S_ISDIR(status.st_mode):
                yield pair


def _pair(
    level: Level, name: bytes, status: os.stat_result, shown_at: int, gold: PinnedEntry | None
) -> Pair:
    """Return two entries side by side, once it is sure that they are of one kind."""
    path, there = level.below(name), os.lstat(name, dir_fd=shown_at)
    kind = Kind.DIRECTORY if gold is None else gold.kind
    if {_kind(status), _kind(there)} != {kind}:
        raise LeftAloneError(Reason.NOT_WHOLE, _told(path))
    if kind is Kind.FILE and gold is not None and {status.st_size, there.st_size} != {gold.size}:
        raise LeftAloneError(Reason.NOT_WHOLE, _told(path))
    target = b""
    if kind is Kind.SYMLINK and gold is not None:
        target = os.readlink(name, dir_fd=level.at)
        if {target, os.readlink(name, dir_fd=shown_at)} != {gold.link_target}:
            raise LeftAloneError(Reason.NOT_WHOLE, _told(path))
        if leaves_root(path, target) and not target.startswith(b"/"):
            raise LeftAloneError(Reason.LEADS_OUT, _told(path))
    return Pair(path, name, level.at, status, shown_at, there, gold, target)


def _check_names(level: Level, known: set[bytes], shown: set[bytes]) -> None:
    found = set(level.inside)
    if found == known == shown:
        return
    odd = min((found ^ known) | (found ^ shown))
    raise LeftAloneError(Reason.NOT_WHOLE, _told(level.below(odd)))


def _kind(status: os.stat_result) -> Kind | None:
    match stat.S_IFMT(status.st_mode):
        case stat.S_IFREG:
            return Kind.FILE
        case stat.S_IFLNK:
            return Kind.SYMLINK
        case stat.S_IFDIR:
            return Kind.DIRECTORY
        case _:
            return None


def _told(path: bytes) -> str:
    return f"`{display(path)}`" if path else ""
