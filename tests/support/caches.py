"""Node caches to try things on, and a command that fills one from a file and counts what it reads.

    python -m support.caches PLACE SOURCE COUNTS ALGORITHM:HEX SIZE [STALL_AT]

prints where the content is; COUNTS gets the offset and the length of each piece that was read. With
STALL_AT it says `stalled` behind so many bytes, and waits to be killed.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dataguard.model.cache import Marks, Wanted
from dataguard.model.digest import Algorithm
from dataguard.stores.cacheplace import CachePlace
from dataguard.stores.hashing import digester
from dataguard.stores.nodecache import NodeCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dataguard.model.cache import CachePin

__all__ = ["PLENTY", "Source", "Ticking", "cache_at", "holds_all", "wanted_of"]

PLENTY = Marks(1 << 40, 1 << 39)
_PIECE = 1 << 20


class Ticking:
    """A clock that goes on by `step_s` with each look at it."""

    def __init__(self, step_s: int = 1000) -> None:
        self.time, self.step = datetime(2030, 1, 1, tzinfo=UTC), timedelta(seconds=step_s)

    def __call__(self) -> datetime:
        self.time += self.step
        return self.time


class Source:
    """Contents to fetch, and the offsets that were asked for."""

    def __init__(self, data: bytes, *, piece: int = _PIECE, end: int | None = None) -> None:
        self.data, self.asked, self.bytes = data, [], 0
        self._piece, self._end = piece, end

    def __call__(self, start: int) -> Iterator[bytes]:
        self.asked.append(start)
        for at in range(start, len(self.data), self._piece):
            if self._end is not None and at >= self._end:
                raise ConnectionError
            piece = self.data[at : at + self._piece]
            self.bytes += len(piece)
            yield piece


def holds_all(_pin: CachePin) -> bool:
    """Let every pin hold."""
    return True


def wanted_of(data: bytes, algorithm: Algorithm = Algorithm.XXH3_128) -> Wanted:
    """Return how a content is asked for."""
    return Wanted(algorithm, digester(algorithm)(data), len(data))


def cache_at(
    place: object,
    *,
    marks: Marks = PLENTY,
    group: int | None = None,
    clock: Callable[[], datetime] | None = None,
    holds: Callable[[CachePin], bool] = holds_all,
) -> NodeCache:
    """Return a cache at a place."""
    now = clock or (lambda: datetime.now(UTC))
    return NodeCache(CachePlace(str(place), group), marks=marks, clock=now, holds=holds)


def _from_file(source: str, counts: str, stall_at: int | None) -> Callable[[int], Iterator[bytes]]:
    def fetch(start: int) -> Iterator[bytes]:
        with open(source, "rb") as file, open(counts, "ab", buffering=0) as log:
            file.seek(start)
            at = start
            while piece := file.read(_PIECE):
                log.write(f"{at} {len(piece)}\n".encode())
                yield piece
                at += len(piece)
                if stall_at is not None and at >= stall_at:
                    print("stalled", flush=True)
                    time.sleep(600)

    return fetch


def _main(place: str, source: str, counts: str, named: str, size: str, *stall_at: str) -> None:
    algorithm, _, digest = named.partition(":")
    wanted = Wanted(Algorithm(algorithm), bytes.fromhex(digest), int(size))
    fetch = _from_file(source, counts, int(stall_at[0]) if stall_at else None)
    with cache_at(place) as cache:
        print(cache.fill(wanted, fetch), flush=True)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    os.umask(0o077)
    _main(*sys.argv[1:])
