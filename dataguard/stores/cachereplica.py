"""Reading pinned contents from the node cache, and what it lacks from where it comes from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dataguard.errors import DataguardError
from dataguard.model.cache import Wanted
from dataguard.stores.localreplica import LocalFile
from dataguard.stores.pinnedsource import Checked

if TYPE_CHECKING:
    from dataguard.model.digest import Algorithm
    from dataguard.model.pinned import PinnedEntry
    from dataguard.stores.nodecache import NodeCache
    from dataguard.stores.pinnedsource import PinnedSource, Replica

__all__ = ["CachedReplica"]


class CachedReplica:
    """A replica far away, behind a cache that is looked into first; reading does not fill it."""

    def __init__(
        self, cache: NodeCache, behind: Replica, algorithm: Algorithm, *, doubted: bool
    ) -> None:
        self.place = behind.place
        self._cache, self._behind = cache, behind
        self._algorithm, self._doubted = algorithm, doubted

    def read(self, entry: PinnedEntry, *, verify: bool) -> bytes:
        """Return the whole content of a file.

        Raises:
            ChangedGoldError: it is not what is pinned.
            OSError: it cannot be read.
        """
        found = self._cached(entry, verify=verify)
        if found is None:
            return self._behind.read(entry, verify=verify)
        try:
            return found.read(0, found.size)
        finally:
            found.close()

    def open(self, entry: PinnedEntry, *, verify: bool) -> PinnedSource:
        """Open a file.

        Raises:
            ChangedGoldError, OSError: as `read`.
        """
        found = self._cached(entry, verify=verify)
        return self._behind.open(entry, verify=verify) if found is None else found

    def _cached(self, entry: PinnedEntry, *, verify: bool) -> PinnedSource | None:
        """Open what the cache has; None where it has nothing that it vouches for."""
        wanted = Wanted(self._algorithm, entry.digest, entry.size)
        try:
            descriptor = self._cache.open(wanted) if entry.size else None
        except DataguardError:
            return None  # whoever may not look into the cache reads where it comes from
        if descriptor is None:
            return None
        place = os.fsencode(self._cache.place.file_of(wanted))
        file = LocalFile(descriptor, os.fstat(descriptor), place, entry, self._algorithm)
        try:
            if self._doubted:
                file.confirm()
        except BaseException:
            file.close()
            raise
        return Checked(file, self._algorithm, entry.digest) if verify else file
