"""Reads small files that were looked at and are in the page cache, with as few calls as can be.

A file costs one `openat`, `preadv2`, `fstat` and `close`: the read that asks whether it is in
memory (RWF_NOWAIT, preadv2(2)) brings it, and the look before is the one that sifted it.

Imports little, since workers load it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dataguard.stores.openfile import FLAGS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dataguard.stores.gathered import Gathered
    from dataguard.stores.pace import Pace
    from dataguard.stores.sifting import Worth

    Digest = tuple[Callable[[bytes], object], Callable[[bytes | memoryview], bytes]]

__all__ = ["WarmReader"]

_WHOLE = 1 << 18
"""Files above this size are left to whoever reads in pieces."""


class WarmReader:
    """Adds files to what was gathered until one is not small, not in memory, or not as it was."""

    def __init__(
        self, found: Gathered, digests: Sequence[Digest], most: int, *, pace: Pace | None = None
    ) -> None:
        """Open nothing yet; `digests` take one each, and no more than `most` bytes are gathered."""
        self._found = found
        self._digests = digests
        self._most = most
        self._pace = pace
        self._room: memoryview | None = None

    def take(self, directory: int, prefix: bytes, files: Sequence[Worth]) -> int:
        """Add the first of these files in their open directory; return how many."""
        if self._room is None:
            self._room = memoryview(bytearray(_WHOLE + 1))
        room, most, total, taken = self._room, self._most - self._found.bytes_read, 0, 0
        open_name, read, look, close = os.open, os.preadv, os.fstat, os.close
        add_path, add_status = self._found.paths.append, self._found.statuses.append
        digests, pace = self._digests, self._pace
        for name, before, _ in files:
            size = before.st_size
            if size > _WHOLE or total >= most:
                break
            descriptor = -1
            try:
                descriptor = open_name(name, FLAGS, dir_fd=directory)
                # Room for one byte more shows whether it grew.
                count = read(descriptor, (room[: size + 1],), 0, os.RWF_NOWAIT)
                after = look(descriptor)
            except OSError:  # on the disk, no file any more, or not for us: others find out
                break
            finally:
                if descriptor >= 0:
                    close(descriptor)
            if count != size or not _is_same(before, after):
                break
            add_path(prefix + name)
            add_status(before)
            for add, digest in digests:
                add(digest(room[:size]))
            total += size
            taken += 1
            if pace is not None:
                pace.keep()
        self._found.bytes_read += total
        return taken


def _is_same(before: os.stat_result, after: os.stat_result) -> bool:
    """Whether a file was not touched between two looks, and is the one that was looked at."""
    return (
        after.st_ctime_ns == before.st_ctime_ns
        and after.st_ino == before.st_ino
        and after.st_size == before.st_size
    )
