"""What commands declare of options and arguments: in typer's words, but without loading it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Declared", "argument", "option"]


@dataclass(frozen=True, slots=True)
class Declared:
    """An option with its names, or an argument, which has none; `settings` are typer's."""

    names: tuple[str, ...]
    settings: Mapping[str, Any]

    def for_typer(self) -> Any:
        """Return what typer takes for it."""
        import typer

        kind = typer.Option if self.names else typer.Argument
        return kind(*self.names, **self.settings) if self.names else kind(**self.settings)


def option(*names: str, **settings: Any) -> Any:
    """Declare an option as `typer.Option` does."""
    return Declared(names, settings)


def argument(**settings: Any) -> Any:
    """Declare an argument as `typer.Argument` does."""
    return Declared((), settings)
