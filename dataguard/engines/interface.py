"""What an engine is: it spreads pure tasks over units of work and keeps their order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["Engine"]

Unit = TypeVar("Unit")
Result = TypeVar("Result")


class Engine(Protocol):
    """Spreads work.

    Laws every engine keeps (see `tests/contracts/engine.py`): each unit comes back once, with its
    result, in the order given; units are drawn only a bounded number ahead; an error of a task is
    raised to the caller; calls may be nested, so that a unit can be the result of another call.
    """

    name: str

    def start(self) -> None:
        """Make ready, so that what follows until the first `map` runs beside it; may do nothing."""

    def map(
        self,
        task: Callable[[Unit], Result],
        units: Iterable[Unit],
        more: Callable[[Unit, Result], Iterable[Unit]] | None = None,
    ) -> Iterator[tuple[Unit, Result]]:
        """Yield each unit with `task(unit)`.

        `task` is a function of a module, units and results can be pickled. `more(unit, result)`
        names units that a result left over: they are given out at once, and come right after it.
        It may be called by any thread; what it names is not asked for more.
        """

    def close(self) -> None:
        """End every process of the engine; it can be used again afterwards."""
