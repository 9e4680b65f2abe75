"""Groups of identical files that are not in gold: what several people have, who could share it."""

from __future__ import annotations

import os
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from dataguard.core.columns import mask_of, number_column, numbers, raw_paths
from dataguard.core.kernels import taken
from dataguard.core.numeric import np
from dataguard.model.copies import CopyGroup, ListedPath
from dataguard.stores.copylook import CopyLook

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dataguard.actions.copymatch import PlaceMatch
    from dataguard.actions.copyscan import PlaceScan

__all__ = ["groups_in"]

_LISTED = 20


class _Member(NamedTuple):
    path: bytes
    file: tuple[int, int]
    allocated: int


def groups_in(found: Iterable[tuple[PlaceScan, PlaceMatch]]) -> tuple[CopyGroup, ...]:
    """Return the groups of files with one content, the most expensive first.

    Names of one file are one member; a group has at least two.
    """
    members: defaultdict[tuple[bytes, int], list[_Member]] = defaultdict(list)
    for scan, match in found:
        for key, member in _members(scan, match):
            members[key].append(member)
    groups = (_group(*key, group) for key, group in members.items())
    several = [one for one in groups if one.count > 1]
    return tuple(sorted(several, key=lambda one: (-one.reclaimable, one.digest)))


def _members(scan: PlaceScan, match: PlaceMatch) -> Iterator[tuple[tuple[bytes, int], _Member]]:
    others = ~mask_of(scan.entries.num_rows, np.array(match.matched, np.int64))
    if not others.any():
        return
    entries = taken(scan.entries, number_column(np.flatnonzero(others)))
    paths, digests = raw_paths(entries).to_pylist(), entries.column("digest").to_pylist()
    sizes = numbers(entries.column("size")).tolist()
    prefix = os.fsencode(scan.place).rstrip(b"/") + b"/"
    with CopyLook(scan.place) as look:
        for path, digest, size in zip(paths, digests, sizes, strict=True):
            with suppress(OSError):  # gone since
                state = look.state(path)
                member = _Member(prefix + path, (state.device, state.inode), state.allocated)
                yield (digest, size), member


def _group(digest: bytes, size: int, members: list[_Member]) -> CopyGroup:
    files = {one.file: one.allocated for one in members}
    kept = max(files.values(), default=0)
    return CopyGroup(
        digest=digest.hex(),
        size=size,
        count=len(files),
        reclaimable=sum(files.values()) - kept,
        paths=tuple(ListedPath(one.path) for one in members[:_LISTED]),
    )
