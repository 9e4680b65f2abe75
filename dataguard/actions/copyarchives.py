"""Finds archives that hold files of gold."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dataguard.actions.copylooks import Looked, Looks, question
from dataguard.actions.copymatch import originals
from dataguard.core.extents import bytes_of_others
from dataguard.core.numeric import np
from dataguard.core.paths import display
from dataguard.model.copies import Copy, CopyKind
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.stores.archives import Wanted, look_into
from dataguard.stores.manifestrows import paths_at

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from dataguard.actions.context import Context
    from dataguard.actions.copyfiles import PlaceFiles
    from dataguard.core.goldindex import GoldIndex, Hits
    from dataguard.model.copies import FileState
    from dataguard.stores.archives import ArchiveLook, Member
    from dataguard.stores.beginnings import Beginnings

__all__ = ["LEAST", "archive_copies"]

LEAST = 20
"""No archive with anything in it is smaller."""

_NAMED = 10
"""Members of an archive that are told."""


def archive_copies(
    ctx: Context,
    files: PlaceFiles,
    index: GoldIndex,
    known: Collection[bytes],
    *,
    min_size: int = 1,
    expired: Callable[[], bool] = lambda: False,
) -> Looked:
    """Return a copy for each archive and version of which it has files of `min_size` or more.

    `known` are absolute paths of files that are copies anyway; after `expired` says so, the rest
    is unchecked.

    Raises:
        CatalogDamagedError: a manifest is damaged.
    """
    found = Looked()
    wanted = Wanted(lambda size: size >= min_size and _occurs(index, size), index.algorithms)
    gold = _Gold(ctx, index)
    asked = question("archives", gold.asked, min_size)
    looks = Looks(
        ctx, files, CopyKind.ARCHIVE_MEMBER, name="archives", asked=asked, least=LEAST, known=known
    )
    for path in looks.unseen():
        if looks.over(expired):
            break
        try:
            state = files.look.state(path)
            archive = _looked_into(files.contents, path, wanted, expired)
            copies: list[Copy] = []
            if archive is not None:
                shared = bytes_of_others(files.look.extents(path, state))
                copies += gold.copies(files.prefix + path, state, archive, shared)
        except OSError as err:
            found.failed(path, err)
            continue
        found.copies += copies
        if archive is not None and archive.gap:
            found.unreadable.append(Unreadable(path, Obstacle.IO_ERROR, archive.gap))
        else:
            looks.note(path, copies)
    found.take(looks)
    return found


def _occurs(index: GoldIndex, size: int) -> bool:
    return size < 1 << 63 and bool(index.may_hold(np.array([size], np.int64))[0])


def _looked_into(
    files: Beginnings, path: bytes, wanted: Wanted, expired: Callable[[], bool]
) -> ArchiveLook | None:
    with files.reading(path) as descriptor:
        return look_into(descriptor, wanted, expired=expired)


class _Gold:
    """The gold index, asked for the members of one archive after the other."""

    def __init__(self, ctx: Context, index: GoldIndex) -> None:
        self._ctx = ctx
        self._index = index
        homes = [originals(ctx, version) for version in index.versions]
        self._homes = [None if one is None else os.fsencode(one) for one in homes]
        named = [(str(one.reference), one.root.hex) for one in index.versions]
        self.asked = named, self._homes

    def copies(
        self, path: bytes, state: FileState, archive: ArchiveLook, shared: int
    ) -> Iterator[Copy]:
        """Yield one copy for each version; what could go with the archive is told of the first.

        That is nothing while it holds anything that is not gold, or was not looked at.
        """
        placed = self._placed(archive.members)
        only_gold = len(placed) == len(archive.members) and not archive.others and not archive.gap
        frees = max(state.allocated - shared, 0) if only_gold and state.links == 1 else 0
        for number in sorted({version for version, _ in placed.values()}):
            version, home = self._index.versions[number], self._homes[number]
            rows = {at: row for at, (one, row) in placed.items() if one == number}
            manifest = self._ctx.manifests.manifest_path(version.root)
            named = sorted(rows)[:_NAMED]
            entries = paths_at(manifest, [rows[at] for at in named])
            members = [archive.members[at] for at in named]
            stored = sum(archive.members[at].stored for at in rows)
            yield Copy(
                path=path,
                kind=CopyKind.ARCHIVE_MEMBER,
                dataset=version.dataset,
                version=version.number,
                entry=entries[0],
                original=None if home is None else os.path.join(home, entries[0]),
                bytes=min(stored, state.size),
                reclaimable=frees,
                state=state,
                evidence={
                    "member": _name(members[0]),
                    "members": [
                        {"member": _name(one), "entry": display(entry), "size": one.size}
                        for one, entry in zip(members, entries, strict=True)
                    ],
                    "member_count": len(rows),
                    "only_gold": only_gold,
                },
            )
            frees = 0

    def _placed(self, members: Sequence[Member]) -> dict[int, tuple[int, int]]:
        """Return of each member that is in gold the version to be named, and the row there."""
        found: dict[int, tuple[int, int]] = {}
        if not members:
            return found
        sizes = np.array([one.size for one in members], np.int64)
        for at, algorithm in enumerate(self._index.algorithms):
            hits = self._index.find(algorithm, sizes, _words(members, at))
            for query, place in _firsts(hits):
                found[query] = min(found.get(query, place), place)
        return found


def _words(members: Sequence[Member], at: int) -> np.ndarray:
    data = b"".join(one.digests[at] for one in members)
    return np.frombuffer(data, np.uint64).reshape(len(members), -1)


def _firsts(hits: Hits) -> Iterator[tuple[int, tuple[int, int]]]:
    """Yield each query that has hits, with version and row of the first."""
    queries, at = np.unique(hits.queries, return_index=True)
    versions, rows = hits.versions[at].tolist(), hits.rows[at].tolist()
    return zip(queries.tolist(), zip(versions, rows, strict=True), strict=True)


def _name(member: Member) -> str:
    """Return the way to a member, archives inside one another joined by `!/`; `.` for the whole."""
    return "!/".join(display(name) or "." for name in member.names)
