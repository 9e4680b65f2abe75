"""Finds tables that have rows of gold's tables, in any format, order and compression."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from dataguard.actions.copylooks import Looked, Looks, question
from dataguard.actions.copymatch import originals
from dataguard.core.cellprints import UnhashableColumnError
from dataguard.core.extents import bytes_of_others
from dataguard.core.paths import display
from dataguard.core.rowprints import cells_of
from dataguard.core.tablematch import KnownTables
from dataguard.core.tableverdict import told, verdict
from dataguard.model.copies import Copy, CopyKind
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.stores.manifestrows import paths_at
from dataguard.stores.tableprints import TablePrints
from dataguard.stores.tables import (
    UnreadableTableError,
    batches_of,
    is_named_as_table,
    table_form,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from dataguard.actions.context import Context
    from dataguard.actions.copyfiles import PlaceFiles
    from dataguard.core.rowprints import TablePrint
    from dataguard.core.tablematch import RowMatch, TableMatch
    from dataguard.model.copies import FileState
    from dataguard.model.dataset import Version
    from dataguard.stores.beginnings import Beginnings

__all__ = ["LEAST", "table_copies"]

LEAST = 16
"""No table with a row in it is smaller."""


def table_copies(
    ctx: Context,
    files: PlaceFiles,
    versions: Sequence[Version],
    known: Collection[bytes],
    *,
    min_size: int = 1,
    any_row: bool = False,
    expired: Callable[[], bool] = lambda: False,
) -> Looked:
    """Return a copy for each table and version of which it has rows; with `any_row` even one.

    `known` are absolute paths of files that are copies anyway; after `expired` says so, the rest
    is unchecked.

    Raises:
        CatalogDamagedError: a manifest is damaged.
    """
    found = Looked()
    gold = _Gold(ctx, versions)
    found.unreadable += gold.gaps
    if not gold.tables:
        return found
    asked, least = question("tables", gold.asked, any_row), max(min_size, LEAST)
    looks = Looks(ctx, files, CopyKind.TABLE, name="tables", asked=asked, least=least, known=known)
    for path in looks.unseen():
        if looks.over(expired):
            break
        try:
            copies = list(gold.found(files, path, expired, any_row=any_row))
        except (UnreadableTableError, UnhashableColumnError) as err:
            # Text that begins as a table may be none; what has the name of one is.
            if is_named_as_table(path):
                found.unreadable.append(Unreadable(path, Obstacle.IO_ERROR, str(err)))
            elif not expired():
                looks.note(path, ())
        except OSError as err:
            found.failed(path, err)
        else:
            found.copies += copies
            looks.note(path, copies)
    found.take(looks)
    return found


class _Table(NamedTuple):
    """A table of gold: the number of its version, and its row in the manifest."""

    version: int
    row: int


class _Gold:
    """The tables of versions, each content once, of the version that is named first."""

    def __init__(self, ctx: Context, versions: Sequence[Version]) -> None:
        self._ctx = ctx
        self._versions = versions
        self._homes = [originals(ctx, version) for version in versions]
        self.gaps: list[Unreadable] = []
        self.tables: list[_Table] = []
        self.prints: list[TablePrint] = []
        self._load()
        self._known = KnownTables(self.prints)
        named = [(str(one.reference), one.root.hex) for one in versions]
        self.asked = named, self._homes, tuple(one.detail for one in self.gaps)

    def _load(self) -> None:
        prints = TablePrints(self._ctx.settings.home.value, self._ctx.manifests)
        prints.prune({version.root.hex for version in self._ctx.catalog.versions()})
        seen = set()
        for number, version in enumerate(self._versions):
            found, missed = prints.tables(
                version, self._homes[number], lambda: self._ctx.progress.advance(0, 0)
            )
            if missed:
                detail = (
                    f"tables of {version.reference} were not looked for: "
                    f"{missed:,} of its files cannot be read as such"
                )
                self.gaps.append(Unreadable(b"", Obstacle.ABSENT, detail))
            for row, one in found:
                content = one.rows, one.total, one.parity, one.columns
                if one.rows and content not in seen:
                    seen.add(content)
                    self.tables.append(_Table(number, row))
                    self.prints.append(one)

    def found(
        self, files: PlaceFiles, path: bytes, expired: Callable[[], bool], *, any_row: bool
    ) -> Iterator[Copy]:
        """Yield what a file has of gold's tables, one copy for each version.

        Raises:
            OSError: it cannot be read.
            UnhashableColumnError: it has a column that cannot be compared.
            UnreadableTableError: it is damaged.
        """
        state = files.look.state(path)
        match = self.matched(files.contents, path, expired)
        if match is not None:
            shared = bytes_of_others(files.look.extents(path, state))
            matches = told(match, self.prints, any_row=any_row)
            yield from self.copies(files.prefix + path, state, match, matches, shared)

    def matched(
        self, files: Beginnings, path: bytes, expired: Callable[[], bool]
    ) -> TableMatch | None:
        """Return what a file has of gold's tables; None where it is no table.

        Raises:
            OSError: it cannot be read.
            UnhashableColumnError: it has a column that cannot be compared.
            UnreadableTableError: it is damaged.
        """
        with files.reading(path) as descriptor:
            form = table_form(descriptor)
            if form is None:
                return None
            question = self._known.asking()
            for batch in batches_of(descriptor, form, expired=expired):
                question.add(cells_of(batch))
            return question.result()

    def copies(
        self,
        path: bytes,
        state: FileState,
        match: TableMatch,
        matches: Sequence[RowMatch],
        shared: int,
    ) -> Iterator[Copy]:
        """Yield one copy for each version that the rows are of."""
        by_version: dict[int, list[RowMatch]] = {}
        for one in matches:
            by_version.setdefault(self.tables[one.table].version, []).append(one)
        for number, several in sorted(by_version.items()):
            said = verdict(match, several, self.prints)
            version, home = self._versions[number], self._homes[number]
            manifest = self._ctx.manifests.manifest_path(version.root)
            (entry,) = paths_at(manifest, [self.tables[said.table].row])
            frees = said.only_gold and state.links == 1
            yield Copy(
                path=path,
                kind=CopyKind.TABLE,
                dataset=version.dataset,
                version=version.number,
                entry=entry,
                original=None if home is None else os.path.join(os.fsencode(home), entry),
                bytes=round(state.size * said.share),
                reclaimable=max(state.allocated - shared, 0) if frees else 0,
                state=state,
                evidence={**said.evidence, "table": display(entry)},
            )
