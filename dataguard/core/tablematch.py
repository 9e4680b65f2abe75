"""Which known tables a table has rows of, and how many: all of them are asked for at once."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from dataguard.core.numeric import np
from dataguard.core.rowprints import ALL, Printer, row_hashes
from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dataguard.core.rowprints import Cells, Sample, TablePrint

__all__ = ["KnownTables", "RowMatch", "TableMatch"]

_LOADED = 1 << 24
"""Hashes of all samples that are held at once; where there are more tables, samples are smaller."""

_LEAST = 256
_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class RowMatch:
    """What a table has of a known one: `table` is its number.

    `found` of `sampled` distinct rows of the known table occur (or values, where `column` and
    `known_column` say of what); `hits` of `asked` rows of this table are among them. `examples` are
    the numbers of the first rows, from 0. `same` says that both have the same rows.
    """

    table: int
    found: int
    sampled: int
    hits: int
    asked: int
    examples: tuple[int, ...]
    whole: bool
    same: bool = False
    column: str = ""
    known_column: str = ""

    @property
    def known_share(self) -> float:
        """The share of the known table's distinct rows that occur."""
        return self.found / self.sampled if self.sampled else 0.0

    @property
    def share(self) -> float:
        """The share of this table's rows that are the known one's."""
        return min(self.hits / self.asked, 1.0) if self.asked else 0.0


@dataclass(frozen=True, slots=True)
class TableMatch:
    """A table that was looked at, and what it has of known ones."""

    print: TablePrint
    rows: tuple[RowMatch, ...]


class _Target(NamedTuple):
    table: int
    sample: Sample


class KnownTables:
    """The prints of tables, to ask what another table has of them."""

    def __init__(self, prints: Sequence[TablePrint]) -> None:
        self._prints = prints
        samples = sum(1 + len(one.texts) for one in prints)
        count = max(_LOADED // max(samples, 1), _LEAST)
        rows: defaultdict[frozenset[str], list[_Target]] = defaultdict(list)
        texts: list[_Target] = []
        for number, one in enumerate(prints):
            if one.columns and one.rows:
                rows[frozenset(one.columns)].append(_Target(number, one.sample.smallest(count)))
            texts += [_Target(number, text.smallest(count)) for text in one.texts]
        self._rows = {names: _Targets(targets) for names, targets in rows.items()}
        self._texts = _Targets(texts)

    def asking(self) -> Question:
        """Return what the batches of one table are given to."""
        return Question(self._prints, self._rows, self._texts)


class Question:
    """One table, looked at batch by batch."""

    def __init__(
        self,
        prints: Sequence[TablePrint],
        rows: dict[frozenset[str], _Targets],
        texts: _Targets,
    ) -> None:
        self._prints = prints
        self._targets = rows
        self._texts = texts
        self._printer = Printer(1)
        self._rows: dict[frozenset[str], _Count] = {}
        self._columns: dict[str, _Count] = {}
        self._at = 0

    def add(self, cells: Cells) -> None:
        """Take a batch into account."""
        self._printer.add(cells)
        present = frozenset(
            name for name, one in zip(cells.names, cells.hashes, strict=True) if one.any()
        )
        # What a batch of JSON lines has nothing of is missing there.
        for names, targets in self._targets.items():
            if names in self._rows or 2 * len(names & present) >= len(names):
                count = self._rows.setdefault(names, _Count(targets))
                count.add(row_hashes(cells, names), self._at)
        if self._texts.size:
            for name, column, long in zip(cells.names, cells.hashes, cells.long, strict=True):
                if long or name in self._columns:
                    count = self._columns.setdefault(name, _Count(self._texts))
                    count.add(column, self._at, there=column != 0)
        self._at += cells.rows

    def result(self) -> TableMatch:
        """Return what was found of known tables."""
        print_ = self._printer.result()
        found = [
            match for count in self._rows.values() for match in count.matches(self._prints, print_)
        ]
        for name, count in self._columns.items():
            found += count.matches(self._prints, print_, column=name)
        return TableMatch(print_, tuple(found))


class _Targets:
    """Samples of several tables as one sorted column of hashes."""

    def __init__(self, targets: Sequence[_Target]) -> None:
        self.targets = tuple(targets)
        lengths = [len(one.sample.hashes) for one in targets]
        none = np.empty(0, np.uint64)
        hashes = np.concatenate([none, *(one.sample.hashes for one in targets)])
        owners = np.repeat(np.arange(len(targets)), lengths)
        order = np.argsort(hashes, kind="stable")
        self.hashes, self.owners = hashes[order], owners[order]
        self.lengths = lengths
        bounds = np.array([one.sample.bound for one in targets], np.uint64)
        self.by_bound = np.argsort(bounds, kind="stable")
        self.bounds = bounds[self.by_bound]
        self.size = len(hashes)


class _Count:
    """How often what is sought was found in one table."""

    def __init__(self, targets: _Targets) -> None:
        self._sought = targets
        count = len(targets.targets)
        self._seen = np.zeros(targets.size, bool)
        self._hits = np.zeros(count, np.int64)
        self._asked = np.zeros(count, np.int64)
        self._examples: dict[int, list[int]] = {}

    def add(self, hashes: np.ndarray, first: int, *, there: np.ndarray | None = None) -> None:
        """Look for the hashes of a batch whose first row has this number."""
        sought = self._sought
        asked = hashes if there is None else hashes[there]
        if not sought.size or not len(asked):
            return
        below = np.bincount(
            np.searchsorted(sought.bounds, asked, "left"), minlength=len(sought.targets) + 1
        )
        self._asked[sought.by_bound] += np.cumsum(below)[:-1]
        starts = np.searchsorted(sought.hashes, hashes, "left")
        at = np.minimum(starts, sought.size - 1)
        rows = np.flatnonzero(sought.hashes[at] == hashes)
        if not len(rows):
            return
        ends = np.searchsorted(sought.hashes, hashes[rows], "right")
        counts = ends - starts[rows]
        queries = np.repeat(rows, counts)
        within = np.arange(len(queries)) - np.repeat(np.cumsum(counts) - counts, counts)
        places = np.repeat(starts[rows], counts) + within
        owners = sought.owners[places]
        self._seen[places] = True
        self._hits += np.bincount(owners, minlength=len(self._hits))
        for owner in np.unique(owners).tolist():
            kept = self._examples.setdefault(owner, [])
            if len(kept) < _EXAMPLES:
                kept += (queries[owners == owner][: _EXAMPLES - len(kept)] + first).tolist()

    def matches(
        self, prints: Sequence[TablePrint], print_: TablePrint, *, column: str = ""
    ) -> Iterator[RowMatch]:
        """Yield what was found of each table that anything was found of."""
        found = np.bincount(self._sought.owners[self._seen], minlength=len(self._hits))
        for owner in np.flatnonzero(self._hits).tolist():
            target = self._sought.targets[owner]
            yield RowMatch(
                table=target.table,
                found=int(found[owner]),
                sampled=len(target.sample.hashes),
                hits=int(self._hits[owner]),
                asked=int(self._asked[owner]),
                examples=tuple(self._examples[owner]),
                whole=target.sample.bound == ALL,
                same=not column and prints[target.table].same_rows(print_),
                column=column,
                known_column=target.sample.column,
            )
