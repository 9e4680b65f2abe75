"""Room in a node cache: what was not used for the longest time goes first, nothing pinned ever."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from dataguard.core.cachemarks import Shortage, shortage
from dataguard.errors import NoRoomError
from dataguard.model.dataclass import dataclass
from dataguard.stores.cacheplace import PARTS, nearest_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dataguard.model.cache import CachePin, Marks, Wanted
    from dataguard.stores.cacheindex import CacheIndex
    from dataguard.stores.cachepins import CachePins
    from dataguard.stores.cacheplace import CachePlace

__all__ = ["Evicted", "Room"]

_BLOCK = 512


@dataclass(frozen=True, slots=True)
class Evicted:
    """What went, or would go, and the bytes of all that could."""

    files: int
    bytes: int
    possible: int


@dataclass(frozen=True, slots=True)
class Room:
    """The room in one cache; `holds` says of a pin whether it still does."""

    place: CachePlace
    index: CacheIndex
    pins: CachePins
    marks: Marks
    holds: Callable[[CachePin], bool]

    def make(self, incoming: int) -> None:
        """Make room for so many bytes. The lock of the place has to be held.

        Raises:
            NoRoomError: nothing more may go, or all that may go is not enough; then nothing went.
            StoreUnreachableError: the disk cannot be looked at.
        """
        lacking = shortage(self.used(), incoming, self._available(), self.marks)
        if not lacking.must:
            return
        gone = self.evict(lacking)
        if gone.bytes < lacking.must or incoming > self._available():
            raise NoRoomError(
                f"no room for {incoming} bytes in the node cache {self.place.root}: "
                f"{gone.possible} bytes of it are not in use",
                hint="`dataguard cache show` says who pins what; [cache] high of config.toml",
            )

    def evict(self, lacking: Shortage, *, dry_run: bool = False) -> Evicted:
        """Remove what should go, or nothing where that is less than what must go.

        Whoever has a file open goes on reading it. The lock of the place has to be held.

        Raises:
            StoreUnreachableError: a file cannot be removed; those before it are gone.
        """
        files = size = 0
        with self.index.without(self.pinned(dry_run=dry_run)) as candidates:
            possible = candidates.bytes()
            if possible < lacking.must:
                return Evicted(0, 0, possible)
            for one in candidates.oldest_first(stay=dry_run):
                if size >= lacking.should:
                    break
                if not dry_run:
                    self.remove(one.wanted)
                    candidates.forget(one)
                files, size = files + 1, size + one.wanted.size
        return Evicted(files, size, possible)

    def pinned(self, *, dry_run: bool = False) -> Iterator[tuple[str, bytes]]:
        """Yield algorithm and digest of what has to stay.

        Pins that hold no more are taken away before, or in a dry run left out.

        Raises:
            StoreUnreachableError: a pin cannot be read or removed.
        """
        if dry_run:
            return self.pins.objects(one for one in self.pins.all() if self.holds(one))
        return self.pins.objects(self.pins.tidy(self.holds))

    def remove(self, wanted: Wanted) -> None:
        """Remove the file of an object, if it is there.

        Raises:
            StoreUnreachableError: it cannot be removed.
        """
        try:
            with suppress(FileNotFoundError):
                os.unlink(self.place.file_of(wanted))
        except OSError as err:
            raise self.place.failed("remove objects of", err) from err

    def most(self) -> int:
        """Return how many bytes all that is needed at once may have, if nothing else is pinned.

        Raises:
            StoreUnreachableError: the disk or the cache cannot be looked at.
        """
        used = self.used() if self.place.exists() else 0
        return max(min(self.marks.high, used + self._available() - self.marks.reserve), 0)

    def used(self) -> int:
        """Return the bytes that the cache takes, what is on its way included."""
        return self.index.totals()[1] + self.growing()[1]

    def growing(self) -> tuple[int, int]:
        """Return the number of objects on their way, left ones included, and what they take."""
        sizes = []
        with suppress(FileNotFoundError), os.scandir(os.path.join(self.place.root, PARTS)) as parts:
            for one in parts:
                with suppress(FileNotFoundError):
                    sizes.append(one.stat(follow_symlinks=False).st_blocks * _BLOCK)
        return len(sizes), sum(sizes)

    def _available(self) -> int:
        try:
            statistics = os.statvfs(nearest_directory(self.place.root))
        except OSError as err:
            raise self.place.failed("look at", err) from err
        return statistics.f_bavail * statistics.f_frsize
