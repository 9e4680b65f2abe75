"""The engine that does everything in the calling process."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["SerialEngine"]

Unit = TypeVar("Unit")
Result = TypeVar("Result")


class SerialEngine:
    """One unit after the other."""

    name = "serial"

    def start(self) -> None:
        """Do nothing: there is no other process."""

    def map(
        self,
        task: Callable[[Unit], Result],
        units: Iterable[Unit],
        more: Callable[[Unit, Result], Iterable[Unit]] | None = None,
    ) -> Iterator[tuple[Unit, Result]]:
        """Yield each unit with `task(unit)`, and what it left over."""
        for unit in units:
            result = task(unit)
            yield unit, result
            for left in more(unit, result) if more is not None else ():
                yield left, task(left)

    def close(self) -> None:
        """Do nothing: there is no other process."""
