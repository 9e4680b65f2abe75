"""The command line: parses, calls one action, shows one report."""

from typing import TYPE_CHECKING

from dataguard.cli.main import main

if TYPE_CHECKING:
    import typer

    app: typer.Typer

__all__ = ["app", "main"]


def __getattr__(name: str) -> "typer.Typer":
    """Load the application where it is asked for: `main` may do without it."""
    if name != "app":
        raise AttributeError(name)
    from dataguard.cli.application import app

    return app
