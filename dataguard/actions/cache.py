"""`cache`: shows what the node cache holds, makes it smaller, and reads it again."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

from dataguard.actions.cacheplaces import every_cache
from dataguard.errors import StoreUnreachableError
from dataguard.model.dataclass import dataclass
from dataguard.model.results.cache import (
    CacheDamage,
    CachePinned,
    CachePruned,
    CacheShare,
    CacheShown,
    CacheVerified,
)
from dataguard.stores.cacheplace import nearest_directory
from dataguard.stores.cacheprune import prune as pruned
from dataguard.stores.cachescrub import scrub
from dataguard.stores.filesystem import file_system_type

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from dataguard.actions.context import Context
    from dataguard.model.cache import Marks
    from dataguard.stores.nodecache import NodeCache

__all__ = ["prune", "show", "verify"]

_SHOWN_INCIDENTS = 20
_LEFT_AFTER_S = 86_400
"""A part that nobody holds is left alone for a day: a job may be started again and go on."""


@dataclass(frozen=True, slots=True)
class _Caches:
    """The caches that can be looked into, the places of the others, and the marks of all."""

    place: str
    marks: Marks
    open: tuple[NodeCache, ...]
    closed: tuple[str, ...]


def show(ctx: Context) -> CacheShown:
    """Return what is in the cache, who needs it, and what was refused.

    Raises:
        ConfigurationError: the settings of the cache make no sense.
        StoreUnreachableError: the cache cannot be read.
    """
    with ExitStack() as opened:
        found = _caches(ctx, opened)
        shares = tuple(_share(one) for one in found.open)
    there = nearest_directory(found.place)
    statistics = os.statvfs(there)
    return CacheShown(
        place=found.place,
        filesystem=file_system_type(os.stat(there).st_dev),
        available=statistics.f_bavail * statistics.f_frsize,
        high=found.marks.high,
        low=found.marks.low,
        files=sum(one.files for one in shares),
        bytes=sum(one.bytes for one in shares),
        caches=shares,
        closed=found.closed,
    )


def prune(
    ctx: Context, *, to: int | None = None, everything: bool = False, dry_run: bool = False
) -> CachePruned:
    """Remove what was not used for the longest time, down to the low mark, or to `to` bytes.

    With `everything` all goes that nobody has pinned, left parts of today included.

    Raises:
        ConfigurationError: the settings of the cache make no sense.
        StoreUnreachableError: something cannot be removed.
    """
    now = ctx.clock().timestamp()
    left_before = now + 1 if everything else now - _LEFT_AFTER_S
    with ExitStack() as opened:
        found = _caches(ctx, opened)
        gone = []
        for one in found.open:
            target = 0 if everything else one.room.marks.low if to is None else to
            gone.append(pruned(one, target, left_before=left_before, dry_run=dry_run))
        totals = [one.index.totals() for one in found.open]
    return CachePruned(
        place=found.place,
        removed_files=sum(one.files for one in gone),
        removed_bytes=sum(one.bytes for one in gone),
        removed_parts=sum(one.parts for one in gone),
        files=sum(files for files, _ in totals),
        bytes=sum(size for _, size in totals),
        closed=found.closed,
        dry_run=dry_run,
    )


def verify(
    ctx: Context, *, max_duration: timedelta | None = None, dry_run: bool = False
) -> CacheVerified:
    """Read the cache again, what was longest not read first, and remove what is damaged.

    Raises:
        ConfigurationError: the settings of the cache make no sense.
        StoreUnreachableError: the cache cannot be looked through.
    """
    end = None if max_duration is None else ctx.clock() + max_duration
    damaged: list[CacheDamage] = []
    unreadable: list[CacheDamage] = []
    files = size = 0
    with ExitStack() as opened:
        found = _caches(ctx, opened)
        ctx.progress.start("reading the cache")
        for cache in found.open:
            for one in scrub(cache, lambda: _is_over(ctx, end), dry_run=dry_run):
                if one.problem:
                    (unreadable if one.unread else damaged).append(
                        CacheDamage(one.path, one.problem)
                    )
                files, size = files + (not one.unread), size + (0 if one.unread else one.size)
                ctx.progress.advance(1, one.size)
        ctx.progress.finish()
    return CacheVerified(
        place=found.place,
        complete=not (_is_over(ctx, end) or unreadable),
        checked_files=files,
        checked_bytes=size,
        damaged=tuple(damaged),
        unreadable=tuple(unreadable),
        closed=found.closed,
        dry_run=dry_run,
    )


def _caches(ctx: Context, opened: ExitStack) -> _Caches:
    """Return the caches that are there; what is another group's is named only."""
    there, closed = [], []
    caches = every_cache(ctx)
    for cache in caches:
        try:
            if cache.place.exists():
                there.append(opened.enter_context(cache))
        except StoreUnreachableError:
            if cache.place.group is None:
                raise
            closed.append(cache.place.root)
    place, marks = os.path.realpath(ctx.settings.cache.value), caches[0].room.marks
    return _Caches(place, marks, tuple(there), tuple(closed))


def _share(cache: NodeCache) -> CacheShare:
    files, size = cache.index.totals()
    growing, growing_bytes = cache.room.growing()
    pins = tuple(
        CachePinned(
            subject=pin.subject,
            objects=pin.count,
            since=pin.since,
            host=pin.process.host,
            process=pin.process.pid,
            lasting=pin.lasting,
            holds=cache.room.holds(pin),
        )
        for pin in cache.pins.all()
    )
    return CacheShare(
        place=cache.place.root,
        group=cache.place.group,
        files=files,
        bytes=size,
        growing=growing,
        growing_bytes=growing_bytes,
        pins=pins,
        incidents=cache.index.incidents(_SHOWN_INCIDENTS),
    )


def _is_over(ctx: Context, end: datetime | None) -> bool:
    return end is not None and ctx.clock() >= end
