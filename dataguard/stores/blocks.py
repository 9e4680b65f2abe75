"""Blocks of files in memory, so many and no more: fetched once for all who wait for them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BLOCK", "Blocks"]

BLOCK = 1 << 20
"""Bytes of a block, but for the last one of a file."""

_AT_ONCE = 16
_AHEAD_AT_ONCE = 8
"""Fetches under way for which nobody waits yet: others must find a free hand."""
_FEWEST = 16

_Key = tuple[bytes, int]


class Blocks:
    """The blocks that were used last, of all files, in at most `capacity` bytes (or 16 blocks).

    For threads. What a fetch raises is raised to all who waited for it, and not kept.
    """

    def __init__(self, capacity: int) -> None:
        self._most = max(capacity // BLOCK, _FEWEST)
        self._lock = threading.RLock()  # what is done at once says so in the thread that asked
        self._blocks: OrderedDict[_Key, Future[bytes]] = OrderedDict()
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="block")
        self._ahead = 0

    def get(self, path: bytes, number: int, fetch: Callable[[], bytes]) -> bytes:
        """Return a block, after fetching it where it is not there."""
        with self._lock:
            found = self._blocks.get((path, number))
            if found is None:
                found = self._begin((path, number), fetch)
            else:
                self._blocks.move_to_end((path, number))
        return found.result()

    def ahead(self, path: bytes, number: int, fetch: Callable[[], bytes]) -> None:
        """Begin to fetch a block that somebody may soon want, unless much is under way already."""
        with self._lock:
            if self._ahead >= _AHEAD_AT_ONCE or (path, number) in self._blocks:
                return
            self._ahead += 1
            self._begin((path, number), fetch).add_done_callback(self._arrived)

    def there(self, path: bytes, number: int) -> bytes | None:
        """Return a block that is there already; None where it is not, or could not be fetched."""
        with self._lock:
            found = self._blocks.get((path, number))
        if found is None or not found.done() or found.exception() is not None:
            return None
        return found.result()

    def forget(self, path: bytes) -> None:
        """Drop the blocks of a file."""
        with self._lock:
            for key in [one for one in self._blocks if one[0] == path]:
                del self._blocks[key]

    def close(self) -> None:
        """End the threads; what was not begun is not fetched."""
        self._pool.shutdown(cancel_futures=True)

    def _begin(self, key: _Key, fetch: Callable[[], bytes]) -> Future[bytes]:
        # By threads of its own: those that libfuse calls in lose what a thread keeps for itself,
        # such as its connection, each time.
        begun = self._pool.submit(fetch)
        self._blocks[key] = begun
        while len(self._blocks) > self._most:
            self._blocks.popitem(last=False)
        begun.add_done_callback(lambda done: self._failed(key, done))
        return begun

    def _failed(self, key: _Key, done: Future[bytes]) -> None:
        if not done.cancelled() and done.exception() is None:
            return
        with self._lock:
            if self._blocks.get(key) is done:
                del self._blocks[key]

    def _arrived(self, _done: Future[bytes]) -> None:
        with self._lock:
            self._ahead -= 1
