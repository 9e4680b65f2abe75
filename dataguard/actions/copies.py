"""`copies`: find redundant copies of gold, and say what they cost."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from dataguard.actions.copybegin import Wish, begin, plan_of
from dataguard.actions.copydeeper import Deeper, Searched
from dataguard.actions.copyfindings import findings_of_copies, record_copies
from dataguard.actions.copyfolders import folders_in
from dataguard.actions.copygroups import groups_in
from dataguard.actions.copymatch import (
    PlaceMatch,
    absolute,
    counted_once,
    match_place,
    shared_among,
)
from dataguard.actions.copyscan import PlaceScan, Search, scan_place, sizes_in
from dataguard.actions.copysymlinks import links_into
from dataguard.actions.goldindex import gold_index
from dataguard.core.copies import repeated
from dataguard.core.copyaccount import account
from dataguard.core.numeric import np
from dataguard.core.paths import is_inside
from dataguard.core.wantedsizes import Sizes
from dataguard.errors import StoreUnreachableError, UsageError
from dataguard.model.copies import (
    CopiesHistory,
    CopiesResult,
    CopyKind,
    ListedPath,
    ScanRecord,
)
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.model.finding import Code
from dataguard.stores.copylook import user_names
from dataguard.stores.pieces import no_rows
from dataguard.stores.scanhistory import ScanHistory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from dataguard.actions.context import Context
    from dataguard.actions.copybegin import Begun
    from dataguard.core.goldindex import GoldIndex
    from dataguard.model.copies import AccountLine, Copy
    from dataguard.stores.walk import Exclusion

__all__ = ["Wish", "copies", "history"]


def copies(
    ctx: Context,
    places: tuple[str, ...],
    listed: tuple[bytes, ...],
    wish: Wish,
    begun: Begun | None = None,
) -> CopiesResult:
    """Return the copies of gold in places and among the files that are listed, and record them.

    Gold itself, mounts of it and dataguard's home are left out. `begun` is what `begin` gave for
    the same.

    Raises:
        CatalogDamagedError: a manifest is missing or damaged.
        NotFoundError: a place or the version does not exist.
    """
    if any("://" in place for place in places):
        return _in_buckets(ctx, places, listed, wish)
    begun = begun or begin(ctx, places, listed, wish)
    index = begun.index
    ctx.progress.start("copies")
    try:
        found = _Found(ctx, begun, wish)
        found.scan()
        result = found.result()
    finally:
        ctx.progress.finish()
        if begun.first is not None:
            begun.first.sieve.close()  # where something was wrong before it was used
    if not wish.dry_run:
        _record(ctx, result, index, found.seen_whole, found.codes, chunks=wish.chunks)
    return result


def _in_buckets(
    ctx: Context, places: tuple[str, ...], listed: tuple[bytes, ...], wish: Wish
) -> CopiesResult:
    """Return the copies of gold in buckets, whole objects alone, and record them.

    Raises:
        UsageError: directories are among the places, or parts of objects are looked for.
    """
    from dataguard.actions.copybuckets import copies_in_buckets  # noqa: PLC0415  few need it

    deeper = wish.partial or wish.chunks or wish.archives or wish.among or wish.resume or wish.rate
    if deeper or listed or not all("://" in place for place in places):
        raise UsageError(
            "in buckets whole objects are looked for, and directories by another command",
            hint=f"dataguard copies {next(one for one in places if '://' in one)}",
        )
    index = gold_index(ctx, wish.only)
    sizes = Sizes(index, wish.min_size)
    longest = wish.max_duration
    until = None if longest is None else ctx.clock() + longest
    ctx.progress.start("copies")
    try:
        result = copies_in_buckets(
            ctx, places, index, sizes, expired=lambda: until is not None and ctx.clock() >= until
        )
    finally:
        ctx.progress.finish()
    if not wish.dry_run:
        whole = None
        if result.complete and wish.min_size <= 1:
            whole = tuple(one.path for one in result.places)
        _record(ctx, result, index, whole, (Code.DG201,), chunks=False)
    return result


def history(ctx: Context) -> CopiesHistory:
    """Return what earlier scans found."""
    return CopiesHistory(ScanHistory(ctx.settings.home.value).scans())


def _record(
    ctx: Context,
    result: CopiesResult,
    index: GoldIndex,
    whole: tuple[bytes, ...] | None,
    codes: tuple[Code, ...],
    *,
    chunks: bool,
) -> None:
    record_copies(ctx, result.findings, index, whole, codes=codes, chunks=chunks)
    ScanHistory(ctx.settings.home.value).add(
        ScanRecord(
            finished=ctx.clock(),
            places=result.places,
            user=ctx.actor.user,
            complete=result.complete,
            files=result.scanned,
            copies=len(result.findings),
            bytes=result.bytes,
            reclaimable=result.reclaimable,
        )
    )


class _Found:
    """What one call comes to."""

    def __init__(self, ctx: Context, begun: Begun, wish: Wish) -> None:
        self._ctx = ctx
        self._scope = begun.scope
        self._index = begun.index
        self._first = begun.first
        self._wish = wish
        self._plan = plan_of(begun.index)
        self._scans: list[PlaceScan] = []
        self._matches: list[PlaceMatch] = []
        self.codes: tuple[Code, ...] = ()

    def scan(self) -> None:
        """Look through every place until the time is over."""
        deadline = self._deadline()
        deeper = self._deeper(deadline)
        search = self._search(deadline, deeper.least)
        self.codes = deeper.codes
        if self._first is not None:
            self._index.prepare()
        for number, scan in enumerate(self._each(search)):
            match = match_place(self._ctx, scan, self._index, self._plan)
            match.copies += links_into(self._ctx, scan, self._index)
            if scan.through is None:
                whole = number < len(self._scope.directories)  # what is listed comes last
                listed = None if whole else self._listed()
                keep = not self._wish.dry_run
                deeper.look(self._ctx, self._index, Searched(scan, match, listed, keep))
            elif scan.roll is not None:
                scan.roll.close()
            self._scans.append(scan)
            self._matches.append(match)

    def _deeper(self, deadline: datetime | None) -> Deeper:
        wish, clock = self._wish, self._ctx.clock
        return Deeper(
            partial=wish.partial,
            chunks=wish.chunks,
            archives=wish.archives,
            tables=wish.tables,
            min_size=wish.min_size,
            any_row=wish.only is not None,
            rate=wish.rate,
            expired=lambda: deadline is not None and clock() >= deadline,
        )

    def _listed(self) -> tuple[bytes, ...]:
        return tuple(path.removeprefix(b"/") for path in self._scope.listed)

    @property
    def seen_whole(self) -> tuple[bytes, ...] | None:
        """The directories in which every copy was seen; None where some may not have been."""
        partial = self._wish.min_size > 1 or self._scope.listed or not self._complete()
        return None if partial else tuple(map(os.fsencode, self._scope.directories))

    def result(self) -> CopiesResult:
        """Return what was found."""
        found = counted_once([one for match in self._matches for one in match.copies])
        found.sort(key=lambda one: one.path)
        real = [one for one in found if one.kind is not CopyKind.LINK]
        for match in self._matches:
            paths = {one.path for one in match.copies}
            match.copies = [one for one in found if one.path in paths]
        pairs = list(zip(self._scans, self._matches, strict=True))
        return CopiesResult(
            complete=self._complete(),
            places=tuple(map(ListedPath, self._places())),
            copies=tuple(found),
            folders=tuple(
                folder
                for scan, match in pairs
                for folder in folders_in(self._ctx, scan, match, self._index, self._plan)
            ),
            groups=groups_in(pairs) if self._wish.among else (),
            account=self._account(real),
            bytes=sum(one.bytes for one in real),
            reclaimable=sum(one.reclaimable for one in real),
            scanned=sum(scan.scanned for scan in self._scans),
            candidates=sum(scan.entries.num_rows for scan in self._scans),
            read=sum(scan.read for scan in self._scans),
            read_bytes=sum(scan.read_bytes for scan in self._scans),
            looked_into=sum(scan.looked_into for scan in self._scans),
            gold_files=self._index.files,
            skipped=self._scope.skipped,
            unreadable=tuple(
                gap
                for scan, match in pairs
                for gap in absolute(scan.place, (*scan.unreadable, *match.unreadable))
            ),
            findings=findings_of_copies(self._ctx, real),
            shared_among=shared_among(match.blocks for match in self._matches),
            resumable=any(scan.through is not None for scan in self._scans),
        )

    def _complete(self) -> bool:
        whole = len(self._scans) == len(self._scope.directories) + bool(self._scope.listed)
        readable = not any(match.unreadable for match in self._matches)
        return whole and readable and all(scan.complete for scan in self._scans)

    def _deadline(self) -> datetime | None:
        longest = self._wish.max_duration
        return None if longest is None else self._ctx.clock() + longest

    def _search(self, deadline: datetime | None, rolled: int | None) -> Search:
        wish = self._wish
        also = self._repeated_sizes() if wish.among else None
        named = [one.root.hex for one in self._index.versions]
        said = repr((named, wish.min_size)).encode() + (b"" if also is None else also.tobytes())
        return Search(
            sizes=Sizes(self._index, wish.min_size, also),
            plan=self._plan,
            key=hashlib.sha256(said).hexdigest(),
            deadline=deadline,
            resume=wish.resume,
            keep=not wish.dry_run,
            rolled=rolled,
            rate=wish.rate,
        )

    def _repeated_sizes(self) -> np.ndarray:
        """Return the sizes that several files of all places have."""
        found = [np.empty(0, np.int64)]
        for place in self._scope.directories:
            left_out = self._scope.left_out(place)
            found += sizes_in(self._ctx, place, self._plan, left_out=left_out)
        return repeated(np.concatenate(found))

    def _each(self, search: Search) -> Iterator[PlaceScan]:
        for place in self._scope.directories:
            left_out = self._scope.left_out(place)
            yield self._scanned(place, search, left_out)
            if search.deadline is not None and self._ctx.clock() >= search.deadline:
                return
        if self._scope.listed:
            yield scan_place(self._ctx, "/", search, listed=self._listed())

    def _scanned(self, place: str, search: Search, left_out: Exclusion | None) -> PlaceScan:
        begun, self._first = self._first, None
        try:
            return scan_place(self._ctx, place, search, left_out=left_out, begun=begun)
        except StoreUnreachableError as err:  # the other places can be looked at
            gap = Unreadable(b"", Obstacle.DENIED, str(err))
            return PlaceScan(place, no_rows(self._plan), unreadable=[gap])

    def _places(self) -> tuple[bytes, ...]:
        return tuple(map(os.fsencode, self._scope.directories)) or self._scope.listed[:1]

    def _account(self, real: list[Copy]) -> tuple[AccountLine, ...]:
        users = user_names(one.state.uid for one in real if one.state is not None)
        return account(real, users, self._place_of(), self._ctx.clock())

    def _place_of(self) -> Callable[[bytes], str]:
        """Return what names the workspace of a path, or the place that was named."""
        known = [one.directory for one in self._ctx.catalog.workspaces()]
        named = sorted(self._scope.directories, key=len, reverse=True)

        def place_of(path: bytes) -> str:
            text = os.fsdecode(path)
            inside = (one for one in (*known, *named) if is_inside(text, one))
            return next(inside, "listed files")

        return place_of
