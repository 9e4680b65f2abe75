"""Which copies can give their blocks back, and how; and which are left alone, and why."""

from __future__ import annotations

import stat
from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.model.copies import CopyKind
from dataguard.model.dataclass import dataclass
from dataguard.model.reclaim import Left, Method, Reason, ReclaimStep

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dataguard.model.copies import Copy, FileState
    from dataguard.model.reclaim import LinkTarget, SeenCopy

__all__ = [
    "NOBODY",
    "ReclaimWish",
    "considered",
    "follows",
    "link_cost",
    "may_read",
    "planned",
    "refused_in_folder",
]

NOBODY = -1
"""The id of a user or group that owns nothing: what all others may."""

_WITH_DIRECTORY = 2

_INLINE_LINK = 59
"""Bytes of a link's target that every file system keeps in the inode (ext4 has the least room)."""

_OTHERS = {"x": stat.S_IXOTH, "r": stat.S_IROTH}
_GROUP = {"x": stat.S_IXGRP, "r": stat.S_IRGRP}
_OWNER = {"x": stat.S_IXUSR, "r": stat.S_IRUSR}


@dataclass(frozen=True, slots=True)
class ReclaimWish:
    """What the caller wants and may: `uid` 0 may act for others; `block` is a block's size."""

    method: Method
    uid: int
    block: int = 4096


def considered(copy: Copy) -> Reason | None:
    """Return why a copy needs no look, by what the search said alone; None where it does."""
    if copy.kind is not CopyKind.EXACT or copy.original is None:
        return Reason.NOT_EXACT
    return None


def planned(
    copy: Copy, seen: SeenCopy, wish: ReclaimWish, target: LinkTarget | None
) -> ReclaimStep | Left:
    """Return what becomes of one exact copy; `target` is what a link would lead to, if anything.

    Sharing blocks goes before a link: the file stays the file it is.
    """
    reason = _for_every_way(copy, seen, wish)
    if reason is not None:
        return Left(copy.path, reason, copy.bytes)
    if wish.method is not Method.LINK and seen.shareable:
        return _step(copy, seen, Method.DEDUPE, seen.own, None)
    if wish.method is Method.DEDUPE or target is None:
        return Left(copy.path, Reason.NO_WAY, copy.bytes, _advice(wish))
    reason = _for_a_link(seen, target)
    if reason is not None:
        return Left(copy.path, reason, copy.bytes)
    return _step(copy, seen, Method.LINK, seen.freed - link_cost(target.path, wish), target.path)


def link_cost(target: bytes, wish: ReclaimWish) -> int:
    """Return what a link takes of the disk beside its inode."""
    return 0 if len(target) <= _INLINE_LINK else wish.block


def refused_in_folder(copy: Copy | None, seen: SeenCopy, wish: ReclaimWish) -> Reason | None:
    """Return why a folder with this file in it stays; None where nothing speaks against it.

    Empty files are no copies. Names of one file are for those to count who see all of them.
    """
    checks = (
        (seen.is_original, Reason.GOLD),
        (copy is not None and not _is_unchanged(copy.state, seen.state), Reason.CHANGED),
        (wish.uid not in (0, seen.state.uid), Reason.FOREIGN),
        (seen.immutable, Reason.IMMUTABLE),
        (bool(seen.attributes), Reason.ATTRIBUTES),
    )
    return next((reason for holds, reason in checks if holds), None)


def follows(way: Sequence[tuple[int, int, int]]) -> bool:
    """Whether others than the owner could follow a link in a file's place; `way` as `may_read`.

    In a directory where all may write and remove their own only, a link is followed for its owner
    and where the directory has the same (proc_sys_fs(5), protected_symlinks), even by root.
    """
    if len(way) < _WITH_DIRECTORY:
        return True
    (mode, owner, _), (_, uid, _) = way[-2:]
    shared = mode & stat.S_ISVTX and mode & stat.S_IWOTH
    return not shared or owner == uid


def may_read(uid: int, gid: int, way: Iterable[tuple[int, int, int]]) -> bool:
    """Whether a user could read a file by permission bits alone.

    `way` has mode, owner and group of each directory on the way, and of the file at the end.
    Further groups of the user and access control lists are not known here: the answer is no where
    they would be needed.
    """
    facts = list(way)
    letters = ["x"] * (len(facts) - 1) + ["r"]
    return all(
        bool(mode & _bits(letter, uid == owner, gid == group))
        for letter, (mode, owner, group) in zip(letters, facts, strict=True)
    )


def _bits(letter: str, is_owner: bool, in_group: bool) -> int:
    if is_owner:
        return _OWNER[letter]
    return _GROUP[letter] if in_group else _OTHERS[letter]


def _for_every_way(copy: Copy, seen: SeenCopy, wish: ReclaimWish) -> Reason | None:
    """Return why nothing at all is done, None where nothing speaks against it."""
    checks = (
        (seen.is_original, Reason.GOLD),
        (not _is_unchanged(copy.state, seen.state), Reason.CHANGED),
        (wish.uid not in (0, seen.state.uid), Reason.FOREIGN),
        (seen.immutable, Reason.IMMUTABLE),
        (seen.own <= 0 and seen.freed <= 0, Reason.NO_GAIN),
    )
    return next((reason for holds, reason in checks if holds), None)


def _for_a_link(seen: SeenCopy, target: LinkTarget) -> Reason | None:
    """Return why a link must not take the file's place: what it could not carry."""
    checks = (
        (bool(seen.attributes), Reason.ATTRIBUTES),
        (seen.state.links > 1, Reason.HARD_LINKS),
        (not target.readable, Reason.UNREADABLE),
    )
    return next((reason for holds, reason in checks if holds), None)


def _is_unchanged(before: FileState | None, now: FileState) -> bool:
    """Whether a file is as it was; its blocks may have been laid out since."""
    return before is None or replace(before, allocated=now.allocated) == now


def _step(
    copy: Copy, seen: SeenCopy, method: Method, gain: int, target: bytes | None
) -> ReclaimStep | Left:
    if gain <= 0 or copy.original is None:
        return Left(copy.path, Reason.NO_GAIN, copy.bytes)
    return ReclaimStep(
        path=copy.path,
        method=method,
        dataset=copy.dataset,
        version=copy.version,
        entry=copy.entry,
        original=copy.original,
        bytes=copy.bytes,
        reclaimable=gain,
        state=seen.state,
        target=target,
    )


def _advice(wish: ReclaimWish) -> str:
    if wish.method is Method.DEDUPE:
        return "the file system cannot share its blocks with the original"
    return "no shared blocks with the original, and no enforced mount of it in a workspace here"
