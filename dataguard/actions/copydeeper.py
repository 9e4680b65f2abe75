"""What a search for copies looks for beside whole files, each where it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass
from dataguard.model.finding import Code
from dataguard.stores.obstacles import unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dataguard.actions.context import Context
    from dataguard.actions.copyfiles import PlaceFiles
    from dataguard.actions.copylooks import Looked
    from dataguard.actions.copymatch import PlaceMatch
    from dataguard.actions.copyscan import PlaceScan
    from dataguard.core.goldindex import GoldIndex

__all__ = ["Deeper", "Searched"]


@dataclass(frozen=True, slots=True)
class Searched:
    """A place that was looked through for whole files, and what came of it.

    `listed` are the files to look at, relative to the place; None is all of them. `keep`
    remembers what is told of files.
    """

    scan: PlaceScan
    match: PlaceMatch
    listed: Sequence[bytes] | None
    keep: bool

    def known(self) -> set[bytes]:
        """Return the paths of what is a copy already."""
        return {one.path for one in self.match.copies}

    def add(self, looked: Looked) -> None:
        """Add what was found by looking into files."""
        self.match.copies += looked.copies
        self.match.unreadable += looked.unreadable
        self.scan.looked_into += looked.opened


@dataclass(frozen=True, slots=True)
class Deeper:
    """What else is looked for in files of `min_size` or more, until `expired` says so.

    `partial` are parts from the beginning on, `chunks` these and parts anywhere. With `any_row`
    one row of a table is enough to be told. No more than `rate` bytes a second are read.
    """

    partial: bool
    chunks: bool
    archives: bool
    tables: bool
    min_size: int
    any_row: bool
    rate: int
    expired: Callable[[], bool]

    @property
    def codes(self) -> tuple[Code, ...]:
        """The codes of what is looked for, whole files first."""
        asked = (
            (Code.DG202, self.partial or self.chunks),
            (Code.DG203, self.archives),
            (Code.DG204, self.tables),
        )
        return (Code.DG201, *(code for code, wanted in asked if wanted))

    @property
    def least(self) -> int | None:
        """The size from which on files are looked into; None where none are."""
        if not (self.partial or self.chunks or self.archives or self.tables):
            return None
        from dataguard.core.chunks import LEAST_FILE  # noqa: PLC0415  only where it is asked for
        from dataguard.core.partial import HEAD_BYTES  # noqa: PLC0415  as above

        sizes = (
            (self.partial or self.chunks, HEAD_BYTES),
            (self.chunks, LEAST_FILE),
            (self.archives, 1),
            (self.tables, 1),
        )
        return min(size for asked, size in sizes if asked)

    def look(self, ctx: Context, index: GoldIndex, place: Searched) -> None:
        """Add what is found in a place that was looked through; what is a copy anyway is left out.

        Raises:
            CatalogDamagedError: a manifest is damaged.
            StoreUnreachableError: the place does not answer.
        """
        least = self.least
        if least is None:
            return
        from dataguard.actions.copyfiles import place_files, walked  # noqa: PLC0415  as above

        scan = place.scan
        # A scan that took up another one has not seen the files before.
        roll = scan.roll or walked(
            ctx, scan.place, least, left_out=scan.left_out, listed=place.listed
        )
        with roll:
            try:
                opened = place_files(
                    scan.place,
                    roll,
                    is_list=place.listed is not None,
                    keep=place.keep,
                    rate=self.rate,
                )
                with opened as files:
                    self._look(ctx, index, place, files)
            except OSError as err:
                place.match.unreadable.append(unreadable(b"", err))

    def _look(self, ctx: Context, index: GoldIndex, place: Searched, files: PlaceFiles) -> None:
        if self.partial or self.chunks:
            self._look_for_parts(ctx, index, place, files)
        if self.archives:
            self._look_into_archives(ctx, index, place, files)
        if self.tables:
            self._look_at_tables(ctx, index, place, files)

    # Each brings what only it needs.

    def _look_for_parts(
        self, ctx: Context, index: GoldIndex, place: Searched, files: PlaceFiles
    ) -> None:
        from dataguard.actions.copypartial import partial_copies  # noqa: PLC0415  as said

        parts = partial_copies(ctx, files, index.versions, place.known(), min_size=self.min_size)
        place.add(self._with_chunks(ctx, index, place, files, parts) if self.chunks else parts)

    def _with_chunks(
        self, ctx: Context, index: GoldIndex, place: Searched, files: PlaceFiles, parts: Looked
    ) -> Looked:
        """Return the copies of parts anywhere; where two are told of one file, the larger."""
        from dataguard.actions.copychunks import chunk_copies  # noqa: PLC0415  as said

        whole = {one.path for one in parts.copies if one.state and one.bytes == one.state.size}
        known = place.known() | whole
        found = chunk_copies(ctx, files, index.versions, known, min_size=self.min_size)
        best = {one.path: one for one in found.copies}
        for one in parts.copies:
            if one.path not in best or best[one.path].bytes <= one.bytes:
                best[one.path] = one
        found.copies = list(best.values())
        found.unreadable = list(dict.fromkeys([*parts.unreadable, *found.unreadable]))
        found.opened += parts.opened
        return found

    def _look_into_archives(
        self, ctx: Context, index: GoldIndex, place: Searched, files: PlaceFiles
    ) -> None:
        from dataguard.actions.copyarchives import archive_copies  # noqa: PLC0415  as said

        place.add(
            archive_copies(
                ctx, files, index, place.known(), min_size=self.min_size, expired=self.expired
            )
        )

    def _look_at_tables(
        self, ctx: Context, index: GoldIndex, place: Searched, files: PlaceFiles
    ) -> None:
        from dataguard.actions.copytables import table_copies  # noqa: PLC0415  as said

        place.add(
            table_copies(
                ctx,
                files,
                index.versions,
                place.known(),
                min_size=self.min_size,
                any_row=self.any_row,
                expired=self.expired,
            )
        )
