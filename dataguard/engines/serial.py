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

    def map(
        self, task: Callable[[Unit], Result], units: Iterable[Unit]
    ) -> Iterator[tuple[Unit, Result]]:
        """Yield each unit with `task(unit)`."""
        for unit in units:
            yield unit, task(unit)

    def close(self) -> None:
        """Do nothing: there is no other process."""
