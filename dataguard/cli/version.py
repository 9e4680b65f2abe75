"""`dataguard version`."""

import typer

from dataguard import __version__
from dataguard.cli.command import command
from dataguard.cli.invocation import Invocation

__all__ = ["add"]


def add(app: typer.Typer) -> None:
    """Add the command to an app."""
    command(app, "version", examples=("dataguard version",), exit_codes=(0,))(version)


def version(invocation: Invocation) -> int:
    """Show the version of dataguard itself."""
    invocation.show({"version": __version__})
    return 0
