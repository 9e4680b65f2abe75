"""Fills a node cache with many objects: small ones side by side, made durable a batch at once."""

from __future__ import annotations

from contextlib import ExitStack, closing
from itertools import islice
from typing import TYPE_CHECKING

from dataguard.errors import DataguardError
from dataguard.model.cache import Filling
from dataguard.model.dataclass import dataclass
from dataguard.stores.cachepart import sync_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from dataguard.model.cache import Fetch, Wanted
    from dataguard.stores.cachepart import Part
    from dataguard.stores.nodecache import NodeCache

    Item = tuple[Wanted, Fetch]

__all__ = ["fill_many"]

_SMALL = 8 << 20
"""Larger objects are fetched one by one: they need no company to be quick."""

_BATCH_FILES = 256
"""Each is an open file, and a process may have 1024."""

_BATCH_BYTES = 128 << 20


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A part with all its bytes; without one it has to be filled by itself."""

    item: Item
    part: Part | None = None
    problem: DataguardError | None = None


def fill_many(cache: NodeCache, items: Iterable[Item], *, fetching: int = 16) -> Iterator[Filling]:
    """Yield what came of each content, in no certain order; those that are there come at once.

    `fetching` small ones are fetched at the same time, by threads. What could not be filled says
    why and stops no other. Nothing is pinned by this: pin first what has to stay.

    Raises:
        ConfigurationError: the place is unfit for a cache.
        StoreUnreachableError: the index or the directories cannot be written.
    """
    cache.prepare()
    small: list[Item] = []
    size = 0
    for (wanted, fetch), found in _looked_up(cache, items):
        if found is not None:
            yield Filling(wanted, found)
        elif wanted.size > _SMALL:
            yield _filled(cache, (wanted, fetch))
        else:
            small.append((wanted, fetch))
            size += wanted.size
        if len(small) >= _BATCH_FILES or size >= _BATCH_BYTES:
            yield from _batch(cache, small, fetching)
            small, size = [], 0
    yield from _batch(cache, small, fetching)


def _looked_up(cache: NodeCache, items: Iterable[Item]) -> Iterator[tuple[Item, str | None]]:
    """Yield each item with where its content is, should it be there."""
    several = iter(items)
    while page := list(islice(several, _BATCH_FILES)):
        yield from zip(page, cache.paths_of([wanted for wanted, _ in page]), strict=True)


def _batch(cache: NodeCache, items: Sequence[Item], fetching: int) -> Iterator[Filling]:
    """Fill small objects; those that another process is at come last, when it is done."""
    if not items:
        return
    again: list[Item] = []
    with ExitStack() as held:
        loaded = []
        for one in _all_loaded(cache, items, fetching, held):
            if one.problem is not None:
                yield Filling(one.item[0], problem=one.problem)
            elif one.part is None:
                again.append(one.item)
            else:
                loaded.append((one.part, one.item[0]))
        if loaded:
            sync_all([part for part, _ in loaded])
            cache.publish(loaded)
        yield from (Filling(wanted, cache.place.file_of(wanted)) for _, wanted in loaded)
    # Only now: to wait for others while holding what they wait for would be for ever.
    for item in again:
        yield _filled(cache, item)


def _all_loaded(
    cache: NodeCache, items: Sequence[Item], fetching: int, held: ExitStack
) -> list[_Loaded]:
    free, others = [], []
    problem = _reserved(cache, items)
    for item in items:
        part = None if problem is not None else cache.held(item[0], wait=False)
        if part is None or cache.is_there(item[0]):
            if part is not None:
                part.close()
            others.append(_Loaded(item))
            continue
        held.enter_context(closing(part))
        free.append((item, part))

    def load(one: tuple[Item, Part]) -> _Loaded:
        (wanted, fetch), part = one
        try:
            cache.load(part, wanted, fetch)
            part.finish()
        except DataguardError as err:
            return _Loaded(one[0], problem=err)
        return _Loaded(one[0], part)

    return [*_side_by_side(load, free, fetching), *others]


def _side_by_side(
    load: Callable[[tuple[Item, Part]], _Loaded], free: Sequence[tuple[Item, Part]], fetching: int
) -> list[_Loaded]:
    if fetching == 1 or len(free) < 2:  # noqa: PLR2004  one needs no company
        return [load(one) for one in free]
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  only where many are filled

    with ThreadPoolExecutor(min(fetching, len(free))) as threads:
        return list(threads.map(load, free))


def _reserved(cache: NodeCache, items: Sequence[Item]) -> DataguardError | None:
    """Make room for a batch; where there is none, each object is tried by itself."""
    try:
        with cache.place.locked():
            cache.room.make(sum(wanted.size for wanted, _ in items))
    except DataguardError as err:
        return err
    return None


def _filled(cache: NodeCache, item: Item) -> Filling:
    wanted, fetch = item
    try:
        return Filling(wanted, cache.fill(wanted, fetch))
    except DataguardError as err:
        return Filling(wanted, problem=err)
