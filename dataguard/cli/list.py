"""`dataguard list`."""

from typing import Annotated

import typer

from dataguard.cli.command import command
from dataguard.cli.invocation import Invocation

__all__ = ["add"]


def add(app: typer.Typer) -> None:
    """Add the command to an app."""
    command(
        app,
        "list",
        examples=("dataguard list", "dataguard list 'vision/*' --format json"),
        table=True,
        exit_codes=(0, 2, 12, 13),
    )(list_datasets)


def list_datasets(
    invocation: Invocation,
    pattern: Annotated[str, typer.Argument(metavar="[PATTERN]", help="A glob over names.")] = "*",
    every: Annotated[bool, typer.Option("--all", "-a", help="Show every version.")] = False,
) -> int:
    """List the datasets of the catalog with their newest active version."""
    from dataguard.actions import list as action

    invocation.show(action.list_datasets(invocation.context(), pattern, every=every))
    return 0
