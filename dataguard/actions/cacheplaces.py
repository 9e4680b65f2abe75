"""Which node cache a dataset's content goes to: that of everybody, or that of its group."""

from __future__ import annotations

import grp
import os
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from dataguard.actions.configuration import parsed
from dataguard.actions.leases import lasts
from dataguard.core.cachemarks import marks_of
from dataguard.errors import ConfigurationError, StoreUnreachableError
from dataguard.sandbox.processes import is_alive
from dataguard.stores.cacheplace import CachePlace, groups_at, nearest_directory
from dataguard.stores.nodecache import NodeCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dataguard.actions.context import Context
    from dataguard.model.cache import CachePin, Marks
    from dataguard.model.ports import Clock
    from dataguard.model.settings import Settings

__all__ = ["cache_at", "cache_for", "every_cache", "group_of", "pin_holds"]


def cache_for(ctx: Context, dataset: str) -> NodeCache:
    """Return the node cache for the content of a dataset.

    It says itself, when it is asked, where this user may not look into it: that a digest is known
    gives nobody a content that its group keeps to itself.

    Raises:
        ConfigurationError: the settings of the cache make no sense.
    """
    return cache_at(ctx.settings, group_of(ctx.settings, dataset), ctx.clock, _judge(ctx))


def every_cache(ctx: Context) -> tuple[NodeCache, ...]:
    """Return the cache of everybody, and those of groups, whoever may look into them.

    Raises:
        ConfigurationError: the settings of the cache make no sense.
    """
    groups = (None, *groups_at(ctx.settings.cache.value))
    return tuple(cache_at(ctx.settings, group, ctx.clock, _judge(ctx)) for group in groups)


def cache_at(
    settings: Settings, group: int | None, clock: Clock, holds: Callable[[CachePin], bool]
) -> NodeCache:
    """Return the cache of a group, or of everybody; for callers that have no catalog at hand.

    Raises:
        ConfigurationError: the settings of the cache make no sense.
        StoreUnreachableError: its file system cannot be looked at.
    """
    place = CachePlace(settings.cache.value, group)
    return NodeCache(place, marks=_marks(settings), clock=clock, holds=holds)


def pin_holds(pin: CachePin) -> bool:
    """Whether a pin holds, as far as can be told without a catalog: leases always do."""
    return pin.lasting or is_alive(pin.process) is not False


def group_of(settings: Settings, dataset: str) -> int | None:
    """Return the group that keeps the content of a dataset to itself, or None.

    `[cache.private]` of the host comes before that of the home: what a host keeps private stays so.

    Raises:
        ConfigurationError: there is no such group, or the table makes no sense.
    """
    for directory in (settings.host_directory, settings.home.value):
        file = os.path.join(directory, "config.toml")
        for pattern, group in _private(file):
            if fnmatchcase(dataset, pattern):
                return _group_id(file, group)
    return None


def _judge(ctx: Context) -> Callable[[CachePin], bool]:
    def holds(pin: CachePin) -> bool:
        if is_alive(pin.process) is not False:
            return True
        return pin.lasting and lasts(ctx, pin.subject)

    return holds


def _marks(settings: Settings) -> Marks:
    place = nearest_directory(os.path.realpath(settings.cache.value))
    try:
        found = os.statvfs(place)
    except OSError as err:
        raise StoreUnreachableError(f"cannot look at {place}: {err.strerror}") from err
    return marks_of(settings.cache_high, settings.cache_low, found.f_blocks * found.f_frsize)


def _private(file: str) -> Iterator[tuple[str, str]]:
    cache: Any = parsed(file).get("cache", {})
    table = cache.get("private", {}) if isinstance(cache, dict) else {}
    are_texts = isinstance(table, dict) and all(isinstance(one, str) for one in table.values())
    if not are_texts:
        raise ConfigurationError(
            f"{file}: [cache.private] must name groups", hint='"clinic/*" = "doctors"'
        )
    yield from table.items()


def _group_id(file: str, name: str) -> int:
    if name.isascii() and name.isdigit():
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError as err:
        raise ConfigurationError(
            f"{file}: [cache.private]: there is no group `{name}` on this host",
            hint=f"getent group {name}",
        ) from err
