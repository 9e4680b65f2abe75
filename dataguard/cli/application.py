"""The application: every command in the order in which help shows it."""

from typing import Annotated

import typer

from dataguard import __version__
from dataguard.cli.group import LazyGroup

__all__ = ["app"]

app = typer.Typer(
    name="dataguard",
    cls=LazyGroup,
    help="Guard shared source datasets: register in place, mount read-only, gate jobs, audit.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dataguard {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    del version
