"""What a search for copies looks for beside whole files, each where it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataguard.model.finding import Code

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dataguard.actions.context import Context
    from dataguard.actions.copymatch import PlaceMatch
    from dataguard.actions.copyscan import PlaceScan
    from dataguard.core.goldindex import GoldIndex

__all__ = ["Deeper"]


@dataclass(frozen=True, slots=True)
class Deeper:
    """What else is looked for in files of `min_size` or more, until `expired` says so.

    With `any_row` one row of a table is enough to be told.
    """

    partial: bool
    archives: bool
    tables: bool
    min_size: int
    any_row: bool
    expired: Callable[[], bool]

    @property
    def codes(self) -> tuple[Code, ...]:
        """The codes of what is looked for, whole files first."""
        asked = (
            (Code.DG202, self.partial),
            (Code.DG203, self.archives),
            (Code.DG204, self.tables),
        )
        return (Code.DG201, *(code for code, wanted in asked if wanted))

    def look(
        self,
        ctx: Context,
        scan: PlaceScan,
        match: PlaceMatch,
        index: GoldIndex,
        listed: Sequence[bytes] | None,
    ) -> None:
        """Add what is found in a place that was looked through; what is a copy anyway is left out.

        Raises:
            CatalogDamagedError: a manifest is damaged.
            StoreUnreachableError: the place does not answer.
        """
        if self.partial:
            self._look_for_parts(ctx, scan, match, index, listed)
        if self.archives:
            self._look_into_archives(ctx, scan, match, index, listed)
        if self.tables:
            self._look_at_tables(ctx, scan, match, index, listed)

    # Each brings what only it needs.

    def _look_for_parts(
        self,
        ctx: Context,
        scan: PlaceScan,
        match: PlaceMatch,
        index: GoldIndex,
        listed: Sequence[bytes] | None,
    ) -> None:
        from dataguard.actions.copypartial import partial_copies  # noqa: PLC0415  as said

        parts = partial_copies(
            ctx,
            scan.place,
            index.versions,
            {one.path for one in match.copies},
            left_out=scan.left_out,
            listed=listed,
            min_size=self.min_size,
        )
        match.copies += parts.copies
        match.unreadable += parts.unreadable

    def _look_into_archives(
        self,
        ctx: Context,
        scan: PlaceScan,
        match: PlaceMatch,
        index: GoldIndex,
        listed: Sequence[bytes] | None,
    ) -> None:
        from dataguard.actions.copyarchives import archive_copies  # noqa: PLC0415  as said

        inside = archive_copies(
            ctx,
            scan.place,
            index,
            {one.path for one in match.copies},
            left_out=scan.left_out,
            listed=listed,
            min_size=self.min_size,
            expired=self.expired,
        )
        match.copies += inside.copies
        match.unreadable += inside.unreadable

    def _look_at_tables(
        self,
        ctx: Context,
        scan: PlaceScan,
        match: PlaceMatch,
        index: GoldIndex,
        listed: Sequence[bytes] | None,
    ) -> None:
        from dataguard.actions.copytables import table_copies  # noqa: PLC0415  as said

        tables = table_copies(
            ctx,
            scan.place,
            index.versions,
            {one.path for one in match.copies},
            left_out=scan.left_out,
            listed=listed,
            min_size=self.min_size,
            any_row=self.any_row,
            expired=self.expired,
        )
        match.copies += tables.copies
        match.unreadable += tables.unreadable
