"""Reads the objects of a node cache again: what is not what its name says is removed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dataguard.errors import StoreUnreachableError
from dataguard.model.cache import Wanted
from dataguard.model.dataclass import dataclass
from dataguard.model.digest import IDENTITY_ALGORITHMS
from dataguard.stores.cachepart import digest_of, look_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dataguard.model.cache import CacheObject
    from dataguard.stores.nodecache import NodeCache

__all__ = ["Scrubbed", "scrub", "unknown_objects"]

_NOTED_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """What reading one object came to: `problem` is empty where it is right.

    `unread` says that the problem is to have read nothing.
    """

    path: str
    size: int
    problem: str = ""
    unread: bool = False


def scrub(
    cache: NodeCache, expired: Callable[[], bool], *, dry_run: bool = False
) -> Iterator[Scrubbed]:
    """Yield what each object is worth, those first that are not known or were longest not read.

    Ends early where `expired` says so: what was read is noted, and comes last the next time. A
    damaged object is removed unless `dry_run`; who reads it then gets none instead of wrong bytes.

    Raises:
        StoreUnreachableError: the cache cannot be looked through.
    """
    before = cache.index.next_reading(cache.now())
    for wanted in unknown_objects(cache):
        if expired():
            return
        yield from _judged(cache, wanted, None, dry_run=dry_run)
    right: list[CacheObject] = []
    try:
        for known in cache.index.by_verification(before):
            if expired():
                return
            for one in _judged(cache, known.wanted, known, dry_run=dry_run):
                if not one.problem:
                    right.append(known)
                yield one
            if len(right) >= _NOTED_AT_ONCE and not dry_run:
                cache.index.verified(right, before)
                right.clear()
    finally:
        if right and not dry_run:
            cache.index.verified(right, before)


def unknown_objects(cache: NodeCache) -> Iterator[Wanted]:
    """Yield the files under a digest that the index does not know; sizes are those on disk.

    A process that died between publishing and recording leaves them.
    """
    for algorithm in IDENTITY_ALGORITHMS:
        top = os.path.join(cache.place.root, algorithm)
        for directory in _names(top):
            for name in _names(os.path.join(top, directory)):
                if not _is_hex(name, 2 * algorithm.digest_bytes) or name[:2] != directory:
                    continue
                wanted = Wanted(algorithm, bytes.fromhex(name), 0)
                found = look_at(cache.place.file_of(wanted), wanted)
                if found is not None and cache.index.known(found.wanted) is None:
                    yield found.wanted


def _judged(
    cache: NodeCache, wanted: Wanted, known: CacheObject | None, *, dry_run: bool
) -> Iterator[Scrubbed]:
    """Yield the verdict on an object; nothing for one that went."""
    path = cache.place.file_of(wanted)
    try:
        read, digest = digest_of(path, wanted)
    except FileNotFoundError:
        if known is not None and not dry_run:
            cache.index.forget([known])
        return
    except StoreUnreachableError as err:
        yield Scrubbed(path, wanted.size, err.message, unread=True)
        return
    problem = ""
    if read.wanted.size != wanted.size:
        problem = f"it has {read.wanted.size} bytes, not {wanted.size}"
    elif digest != wanted.digest:
        problem = "its content is not what its name says"
    if not dry_run:
        if problem:
            cache.remove(wanted, read, f"removed from the cache: {problem}")
        elif read != known:
            cache.take_up(read)
    yield Scrubbed(path, read.wanted.size, problem)


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as err:
        raise StoreUnreachableError(f"cannot look into {directory}: {err.strerror}") from err


def _is_hex(name: str, length: int) -> bool:
    return len(name) == length and all(one in "0123456789abcdef" for one in name)
