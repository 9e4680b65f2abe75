"""The sizes of files that are worth reading, as workers ask for them and as columns do."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from dataguard.core.numeric import np
from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from dataguard.core.goldindex import GoldIndex

__all__ = ["Sizes"]

_FEW = 100_000
"""Sizes that are gone through one by one in the time that numpy takes to load."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes worth reading: those of gold from `least` on, and `repeated` ones, if any."""

    index: GoldIndex
    least: int
    repeated: np.ndarray | None = None

    def wanted(self, sizes: np.ndarray) -> np.ndarray:
        """Return for each size whether a file of it may be a copy of something."""
        found: np.ndarray = self.index.may_hold(sizes)
        if self.repeated is not None:
            found |= np.isin(sizes, self.repeated)
        return found & (sizes >= max(self.least, 1))

    def tables(self, limit: int) -> tuple[memoryview, memoryview]:
        """Return a byte for each size below a limit, 1 where it is wanted, and the others.

        These are 64-bit numbers, ascending.
        """
        columns = self.index.size_columns
        if self.repeated is not None or sum(map(len, columns)) > _FEW:
            return self._table(limit), np.ascontiguousarray(self._above(limit)).data
        table, large = bytearray(limit), set[int]()
        for column in columns:
            for size in column.tolist():
                if size < limit:
                    table[size] = 1
                else:
                    large.add(size)
        unwanted = min(max(self.least, 1), limit)
        table[:unwanted] = bytes(unwanted)
        others = array("q", sorted(size for size in large if size >= self.least))
        return memoryview(table), memoryview(others)

    def _table(self, limit: int) -> memoryview:
        table = np.zeros(limit, np.uint8)
        sizes = self._distinct()
        table[sizes[sizes < limit]] = 1
        return table.data

    def _above(self, limit: int) -> np.ndarray:
        sizes = self._distinct()
        return sizes[sizes >= limit]

    def _distinct(self) -> np.ndarray:
        found: np.ndarray = self.index.sizes
        if self.repeated is not None:
            found = np.unique(np.concatenate([found, self.repeated]))
        return found[found >= max(self.least, 1)]
