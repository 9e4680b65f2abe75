"""What a search for copies looks for beside whole files, each where it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataguard.model.finding import Code

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dataguard.actions.context import Context
    from dataguard.actions.copymatch import PlaceMatch
    from dataguard.actions.copypartial import PartialMatch
    from dataguard.actions.copyscan import PlaceScan
    from dataguard.core.goldindex import GoldIndex

__all__ = ["Deeper", "Searched"]


@dataclass(frozen=True, slots=True)
class Searched:
    """A place that was looked through for whole files, and what came of it.

    `listed` are the files to look at, relative to the place; None is all of them.
    """

    scan: PlaceScan
    match: PlaceMatch
    listed: Sequence[bytes] | None

    def known(self) -> set[bytes]:
        """Return the paths of what is a copy already."""
        return {one.path for one in self.match.copies}


@dataclass(frozen=True, slots=True)
class Deeper:
    """What else is looked for in files of `min_size` or more, until `expired` says so.

    `partial` are parts from the beginning on, `chunks` these and parts anywhere. With `any_row`
    one row of a table is enough to be told.
    """

    partial: bool
    chunks: bool
    archives: bool
    tables: bool
    min_size: int
    any_row: bool
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

    def look(self, ctx: Context, index: GoldIndex, place: Searched) -> None:
        """Add what is found in a place that was looked through; what is a copy anyway is left out.

        Raises:
            CatalogDamagedError: a manifest is damaged.
            StoreUnreachableError: the place does not answer.
        """
        if self.partial or self.chunks:
            self._look_for_parts(ctx, index, place)
        if self.archives:
            self._look_into_archives(ctx, index, place)
        if self.tables:
            self._look_at_tables(ctx, index, place)

    # Each brings what only it needs.

    def _look_for_parts(self, ctx: Context, index: GoldIndex, place: Searched) -> None:
        from dataguard.actions.copypartial import partial_copies  # noqa: PLC0415  as said

        parts = partial_copies(
            ctx,
            place.scan.place,
            index.versions,
            place.known(),
            left_out=place.scan.left_out,
            listed=place.listed,
            min_size=self.min_size,
        )
        if self.chunks:
            parts = self._with_chunks(ctx, index, place, parts)
        place.match.copies += parts.copies
        place.match.unreadable += parts.unreadable

    def _with_chunks(
        self, ctx: Context, index: GoldIndex, place: Searched, parts: PartialMatch
    ) -> PartialMatch:
        """Return the copies of parts anywhere; where two are told of one file, the larger."""
        from dataguard.actions.copychunks import chunk_copies  # noqa: PLC0415  as said

        whole = {one.path for one in parts.copies if one.state and one.bytes == one.state.size}
        found = chunk_copies(
            ctx,
            place.scan.place,
            index.versions,
            place.known() | whole,
            left_out=place.scan.left_out,
            listed=place.listed,
            min_size=self.min_size,
        )
        best = {one.path: one for one in found.copies}
        for one in parts.copies:
            if one.path not in best or best[one.path].bytes <= one.bytes:
                best[one.path] = one
        found.copies = list(best.values())
        found.unreadable = list(dict.fromkeys([*parts.unreadable, *found.unreadable]))
        return found

    def _look_into_archives(self, ctx: Context, index: GoldIndex, place: Searched) -> None:
        from dataguard.actions.copyarchives import archive_copies  # noqa: PLC0415  as said

        inside = archive_copies(
            ctx,
            place.scan.place,
            index,
            place.known(),
            left_out=place.scan.left_out,
            listed=place.listed,
            min_size=self.min_size,
            expired=self.expired,
        )
        place.match.copies += inside.copies
        place.match.unreadable += inside.unreadable

    def _look_at_tables(self, ctx: Context, index: GoldIndex, place: Searched) -> None:
        from dataguard.actions.copytables import table_copies  # noqa: PLC0415  as said

        tables = table_copies(
            ctx,
            place.scan.place,
            index.versions,
            place.known(),
            left_out=place.scan.left_out,
            listed=place.listed,
            min_size=self.min_size,
            any_row=self.any_row,
            expired=self.expired,
        )
        place.match.copies += tables.copies
        place.match.unreadable += tables.unreadable
