"""Tidies a node cache: makes it as small as asked, and removes what killed processes left."""

from __future__ import annotations

import os
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from dataguard.core.cachemarks import Shortage
from dataguard.model.dataclass import dataclass
from dataguard.stores.cachepart import Part, look_at
from dataguard.stores.cacheplace import PARTS, PINS
from dataguard.stores.cachescrub import unknown_objects

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.stores.nodecache import NodeCache

__all__ = ["Pruned", "prune"]

_BLOCK = 512
_DRAFTS = (".new-", ".draft-", ".lock-", "index.db.")


@dataclass(frozen=True, slots=True)
class Pruned:
    """What went or would go: objects with their bytes, and left parts with theirs."""

    files: int
    bytes: int
    parts: int
    part_bytes: int


def prune(cache: NodeCache, target: int, *, left_before: float, dry_run: bool = False) -> Pruned:
    """Remove what was not used for the longest time until at most `target` bytes are left.

    What is pinned stays. Parts that nobody holds go where they were not written since
    `left_before` (seconds since 1970); with a target of 0 also what the index does not know.

    Raises:
        ConfigurationError: the place is unfit for a cache.
        StoreUnreachableError: something cannot be removed.
    """
    cache.prepare()
    parts = list(_left_parts(cache, left_before, dry_run=dry_run))
    with cache.place.locked():
        if not dry_run:
            _forget_gone(cache)
            _remove_drafts(cache, left_before)
        used = cache.index.totals()[1]
        gone = cache.room.evict(Shortage(0, max(used - target, 0)), dry_run=dry_run)
        unknown = list(_unknown(cache, dry_run=dry_run)) if target == 0 else []
    return Pruned(gone.files + len(unknown), gone.bytes + sum(unknown), len(parts), sum(parts))


def _left_parts(cache: NodeCache, left_before: float, *, dry_run: bool) -> Iterator[int]:
    """Remove the parts that nobody goes on with, and yield what each took."""
    top = os.path.join(cache.place.root, PARTS)
    for name in os.listdir(top):
        path = os.path.join(top, name)
        with suppress(FileNotFoundError):
            status = os.lstat(path)
            if name.startswith(".") or status.st_mtime >= left_before:
                continue
            part = Part.hold(path, mode=status.st_mode & 0o777, wait=False)
            if part is None:
                continue
            with closing(part):
                if not dry_run:
                    part.discard()
            yield status.st_blocks * _BLOCK


def _forget_gone(cache: NodeCache) -> None:
    """Take out of the index what is not there: its process died between removing and recording."""
    for page in cache.index.pages():
        gone = [one for one in page if look_at(cache.place.file_of(one.wanted), one.wanted) is None]
        if gone:
            cache.index.forget(gone)


def _remove_drafts(cache: NodeCache, left_before: float) -> None:
    root = cache.place.root
    for directory in (root, os.path.join(root, PARTS), os.path.join(root, PINS)):
        for name in os.listdir(directory):
            path = os.path.join(directory, name)
            with suppress(FileNotFoundError):
                if name.startswith(_DRAFTS) and os.lstat(path).st_mtime < left_before:
                    (os.rmdir if os.path.isdir(path) else os.unlink)(path)


def _unknown(cache: NodeCache, *, dry_run: bool) -> Iterator[int]:
    """Remove what has the name of an object and is not known, but for what is pinned."""
    unknown = {(str(one.algorithm), one.digest): one for one in unknown_objects(cache)}
    for pinned in cache.room.pinned(dry_run=dry_run):
        unknown.pop(pinned, None)
    for wanted in unknown.values():
        if not dry_run:
            cache.room.remove(wanted)
        yield wanted.size
