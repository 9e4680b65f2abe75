"""The local engine with as many workers as the cores and the storage of the data call for."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from dataguard.engines.capacity import workers_for
from dataguard.engines.local import LocalEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from dataguard.engines.interface import Engine
    from dataguard.model.medium import Medium

__all__ = ["FittedEngine", "fit"]

Unit = TypeVar("Unit")
Result = TypeVar("Result")


class FittedEngine(LocalEngine):
    """Worker processes on this machine; their number follows what the data lies on."""

    def __init__(self) -> None:
        super().__init__()
        self._cores = self.workers
        self._running = 0

    def fit(self, medium: Medium) -> None:
        """Take as many workers as suit a medium; those that are at work are not disturbed."""
        count = workers_for(medium, self._cores)
        if count != self.workers and not self._running:
            self.close()
            self.workers = count

    def map(
        self,
        task: Callable[[Unit], Result],
        units: Iterable[Unit],
        more: Callable[[Unit, Result], Iterable[Unit]] | None = None,
    ) -> Iterator[tuple[Unit, Result]]:
        """Yield each unit with `task(unit)`, as the local engine does."""
        self._running += 1
        try:
            yield from super().map(task, units, more)
        finally:
            self._running -= 1


def fit(engine: Engine, medium: Medium) -> None:
    """Let an engine that chooses its number of workers choose it for a medium."""
    if isinstance(engine, FittedEngine):
        engine.fit(medium)
