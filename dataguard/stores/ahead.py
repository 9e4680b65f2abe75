"""A stream that is made in a thread of its own, a few items before they are asked for."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

__all__ = ["ahead"]

Item = TypeVar("Item")
_END = object()


def ahead(items: Iterator[Item], depth: int) -> Generator[Item]:
    """Yield the same items in the same order, up to `depth` of them made in advance.

    What the stream raises comes where its next item would. It pays for streams that decode and
    digest: Arrow and hashlib let other threads run meanwhile.
    """
    with ThreadPoolExecutor(1) as thread:  # one, so that no two items are made at a time
        waiting = deque(thread.submit(next, items, _END) for _ in range(depth))
        try:
            while (item := waiting.popleft().result()) is not _END:
                waiting.append(thread.submit(next, items, _END))
                yield cast("Item", item)
                del item  # its memory is wanted for the next
        finally:
            for late in waiting:
                late.cancel()
