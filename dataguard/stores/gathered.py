"""Entries while a unit is read: plain lists first, columns at the end."""

from __future__ import annotations

import time
from array import array
from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass
from dataguard.stores.localunit import STAT_COLUMNS, Columns, Segment

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from dataguard.model.entry import Unreadable

__all__ = ["Gathered", "Horizon"]

_SECOND_NS = 1_000_000_000
_FILE, _LINK, _DIRECTORY = b"fld"


@dataclass(frozen=True, slots=True)
class Horizon:
    """From when on a change time is racy: a change at the same moment would not show.

    Times of whole seconds are racy for two seconds, whatever the file system promises.
    """

    fine_ns: int | None
    coarse_ns: int

    @classmethod
    def now(cls, tick_ns: int) -> Horizon:
        """Return the horizon of what is read from now on."""
        now = time.time_ns()
        return cls(now - tick_ns if tick_ns else None, now - 2 * _SECOND_NS)

    def flags(self, times: Sequence[int]) -> bytes:
        """Return one byte for each time: whether it is racy."""
        earliest = self.coarse_ns if self.fine_ns is None else min(self.fine_ns, self.coarse_ns)
        if max(times, default=0) < earliest:
            return bytes(len(times))
        return bytes([self._is_racy(changed) for changed in times])

    def _is_racy(self, changed: int) -> bool:
        if self.fine_ns is not None and changed >= self.fine_ns:
            return True
        return changed % _SECOND_NS == 0 and changed >= self.coarse_ns


class Gathered:
    """What was found so far. Regular files need three appends; the rest is kept beside them.

    `paths`, `statuses` and each list of `digests` have one value an entry. Anything but a file
    stands in `links` (targets) or `directories`; positions of files not read in `undigested`.
    """

    def __init__(self, zeros: tuple[bytes, ...]) -> None:
        self.paths: list[bytes] = []
        self.statuses: list[os.stat_result] = []
        self.digests: tuple[list[bytes], ...] = tuple([] for _ in zeros)
        self.links: dict[int, bytes] = {}
        self.directories: list[int] = []
        self.undigested: list[int] = []
        self.unreadable: list[Unreadable] = []
        self.large: list[Segment] = []
        self.branches: list[bytes] = []
        self.bytes_read = 0
        self.passed = 0
        self.through = b""
        self._zeros = zeros

    def add(self, path: bytes, status: os.stat_result, digests: tuple[bytes, ...]) -> None:
        """Add an entry with its digests."""
        self.paths.append(path)
        self.statuses.append(status)
        for column, digest in zip(self.digests, digests, strict=True):
            column.append(digest)

    def add_unread(self, path: bytes, status: os.stat_result) -> None:
        """Add a file whose content was not looked at."""
        self.undigested.append(len(self.paths))
        self.add(path, status, self._zeros)

    def add_link(
        self, path: bytes, status: os.stat_result, target: bytes, digests: tuple[bytes, ...]
    ) -> None:
        """Add a symlink."""
        self.links[len(self.paths)] = target
        self.add(path, status, digests)

    def add_directory(self, path: bytes, status: os.stat_result) -> None:
        """Add an empty directory."""
        self.directories.append(len(self.paths))
        self.add(path, status, self._zeros)

    def columns(self, horizon: Horizon) -> Columns:
        """Return everything as columns."""
        stats = _stat_columns(self.statuses)
        self._amend(stats)
        others = len(self.links) + len(self.directories) + len(self.undigested)
        return Columns(
            paths=b"".join(self.paths),
            lengths=array("i", map(len, self.paths)),
            kinds=self._kinds(),
            stats=stats,
            racy=horizon.flags(stats["ctime_ns"]),
            digested=self._digested(),
            digests=tuple(b"".join(column) for column in self.digests),
            links=self.links,
            unreadable=self.unreadable,
            large=self.large,
            branches=self.branches,
            files_read=len(self.paths) - others,
            bytes_read=self.bytes_read,
            passed=self.passed,
            through=self.through,
        )

    def _amend(self, stats: dict[str, array[int]]) -> None:
        """Give symlinks and directories the sizes that manifests define for them."""
        for position, target in self.links.items():
            stats["size"][position] = len(target)
        for position in self.directories:
            stats["size"][position] = 0
            stats["nlink"][position] = 1

    def _kinds(self) -> bytes:
        kinds = bytearray((_FILE,)) * len(self.paths)
        for position in self.links:
            kinds[position] = _LINK
        for position in self.directories:
            kinds[position] = _DIRECTORY
        return bytes(kinds)

    def _digested(self) -> bytes:
        flags = bytearray((1,)) * len(self.paths)
        for position in self.undigested:
            flags[position] = 0
        return bytes(flags)


def _stat_columns(statuses: list[os.stat_result]) -> dict[str, array[int]]:
    # A status is a sequence of ten integers, whole seconds among them: one `zip` turns all round.
    mode, inode, _, nlink, uid, gid, size = list(zip(*statuses, strict=True))[:7] or [()] * 7
    columns = {
        "size": size,
        "mtime_ns": [one.st_mtime_ns for one in statuses],
        "ctime_ns": [one.st_ctime_ns for one in statuses],
        # The kernel counts inodes without a sign.
        "inode": array("q", array("Q", inode).tobytes()),
        "mode": mode,
        "uid": uid,
        "gid": gid,
        "nlink": nlink,
    }
    return {name: array(code, columns[name]) for name, code in STAT_COLUMNS.items()}
