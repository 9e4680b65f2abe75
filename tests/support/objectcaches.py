"""A command that fills a node cache with a pinned object, as whoever the environment says.

    python -m support.objectcaches PLACE BUCKET KEY VERSION ETAG SIZE ALGORITHM:HEX [STALL_AT]

prints where the content is. An empty VERSION pins by the etag. With STALL_AT it says `stalled`
behind so many bytes, and waits to be killed.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from dataguard.model.cache import Wanted
from dataguard.model.digest import Algorithm
from dataguard.model.objects import ObjectPlace, Pin
from dataguard.stores.objectclient import ObjectClient
from dataguard.stores.objectfetch import pinned
from dataguard.stores.s3access import access_to
from support.caches import cache_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.model.cache import Fetch

__all__ = ["client_of"]


def client_of(bucket: str) -> ObjectClient:
    """Return the client of a bucket that the environment says."""
    return ObjectClient(access_to(bucket, ObjectPlace(), None, os.environ))


def _stalling(fetch: Fetch, stall_at: int) -> Fetch:
    def slow(start: int) -> Iterator[bytes]:
        at = start
        for piece in fetch(start):
            yield piece
            at += len(piece)
            if at >= stall_at:
                print("stalled", flush=True)
                time.sleep(600)

    return slow


def _main(place: str, bucket: str, *words: str) -> None:
    key, version, etag, size, named, *stall_at = words
    algorithm, _, digest = named.partition(":")
    pin = Pin(key.encode(), version or None, etag, int(size))
    fetch = pinned(client_of(bucket), pin)
    if stall_at:
        fetch = _stalling(fetch, int(stall_at[0]))
    wanted = Wanted(Algorithm(algorithm), bytes.fromhex(digest), int(size))
    with cache_at(place) as cache:
        print(cache.fill(wanted, fetch), flush=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
