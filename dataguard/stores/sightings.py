"""Findings of one look at the data, kept outside memory where they are many."""

from __future__ import annotations

import heapq
from collections.abc import Collection
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING

from dataguard.core.outcome import is_violation
from dataguard.stores.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dataguard.model.finding import Finding

__all__ = ["Sightings"]


class Sightings(Collection["Finding"]):
    """Findings in path order, as many as there may be; memory holds about a megabyte of them.

    Can be read as often as wanted; `violations` counts those of severity error or worse.
    """

    def __init__(self, findings: Iterable[Finding] = ()) -> None:
        self._in_order: Spool[Finding] = Spool()
        self._late: list[Finding] = []
        self.violations = 0
        for finding in findings:
            self.add(finding)

    def add(self, finding: Finding) -> None:
        """Take a finding that follows all earlier ones in path order.

        Raises:
            StoreUnreachableError: there is no room for it.
        """
        self.violations += is_violation(finding)
        self._in_order.add(finding)

    def add_late(self, finding: Finding) -> None:
        """Take a finding that comes after its place in the order; these are kept in memory."""
        self.violations += is_violation(finding)
        self._late.append(finding)

    def since(self, number: int) -> Iterator[Finding]:
        """Yield the findings in the order in which they came, without the first ones."""
        yield from islice(self._arrived(), number, None)

    def __iter__(self) -> Iterator[Finding]:
        by_path = attrgetter("path")
        return heapq.merge(self._in_order, sorted(self._late, key=by_path), key=by_path)

    def __len__(self) -> int:
        return len(self._in_order) + len(self._late)

    def __contains__(self, finding: object) -> bool:
        return any(one == finding for one in self._arrived())

    def _arrived(self) -> Iterator[Finding]:
        yield from self._in_order
        yield from tuple(self._late)
