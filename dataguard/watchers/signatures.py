"""What a tree looked like, in three numbers an entry."""

from __future__ import annotations

import stat
from array import array
from typing import TYPE_CHECKING

import xxhash

from dataguard.core.numeric import np
from dataguard.model.watch import ChangeKind

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["Signatures", "SignaturesBuilder"]


class SignaturesBuilder:
    """Takes the entries of one walk, directory by directory."""

    def __init__(self) -> None:
        self._paths = array("Q")
        self._contents = array("q")
        self._metadata = array("q")
        self._from = 0

    def __len__(self) -> int:
        return len(self._paths)

    def add(self, path: bytes, status: os.stat_result) -> None:
        """Take one entry, by its path below the root."""
        is_directory = stat.S_ISDIR(status.st_mode)
        # a directory's size and links follow from what is in it
        size, links = (0, 0) if is_directory else (status.st_size, status.st_nlink)
        self._paths.append(xxhash.xxh3_64_intdigest(path))
        self._contents.append(
            hash((size, status.st_mtime_ns, status.st_ino, status.st_dev, status.st_mode >> 12))
        )
        self._metadata.append(
            hash((status.st_ctime_ns, status.st_mode, status.st_uid, status.st_gid, links))
        )

    def changes(self, before: Signatures) -> Iterator[tuple[int, ChangeKind]]:
        """Yield what is new or other among the entries since the last call, by their position."""
        first, self._from = self._from, len(self._paths)
        yield from before.compare(
            np.array(self._paths[first:], dtype=np.uint64),
            np.array(self._contents[first:], dtype=np.int64),
            np.array(self._metadata[first:], dtype=np.int64),
        )

    def done(self) -> Signatures:
        """Return all in an order that can be searched."""
        paths = np.frombuffer(self._paths, dtype=np.uint64)
        order = np.argsort(paths)
        return Signatures(
            paths[order],
            np.frombuffer(self._contents, dtype=np.int64)[order],
            np.frombuffer(self._metadata, dtype=np.int64)[order],
        )


class Signatures:
    """The entries of one walk: 24 bytes each, found by the hash of their path."""

    def __init__(
        self,
        paths: NDArray[np.uint64],
        contents: NDArray[np.int64],
        metadata: NDArray[np.int64],
    ) -> None:
        self._paths = paths
        self._contents = contents
        self._metadata = metadata

    def __len__(self) -> int:
        return len(self._paths)

    def compare(
        self,
        paths: NDArray[np.uint64],
        contents: NDArray[np.int64],
        metadata: NDArray[np.int64],
    ) -> Iterator[tuple[int, ChangeKind]]:
        """Yield the positions of entries that are not in here, or are other."""
        if not len(self._paths):
            yield from ((position, ChangeKind.CREATED) for position in range(len(paths)))
            return
        at = np.minimum(np.searchsorted(self._paths, paths), len(self._paths) - 1)
        known = self._paths[at] == paths
        same_content = known & (self._contents[at] == contents)
        same = same_content & (self._metadata[at] == metadata)
        for position in np.flatnonzero(~same).tolist():
            if not known[position]:
                yield position, ChangeKind.CREATED
            elif not same_content[position]:
                yield position, ChangeKind.MODIFIED
            else:
                yield position, ChangeKind.METADATA
