"""`dataguard log`."""

from typing import Annotated

import typer

from dataguard.cli.command import command
from dataguard.cli.invocation import Invocation

__all__ = ["add"]


def add(app: typer.Typer) -> None:
    """Add the command to an app."""
    command(
        app,
        "log",
        examples=("dataguard log faces", "dataguard log faces --format jsonl"),
        table=True,
        exit_codes=(0, 2, 10, 12, 13),
    )(log)


def log(
    invocation: Invocation,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The dataset.")],
) -> int:
    """Show what happened to a dataset, and who did it."""
    from dataguard.actions import log as action

    invocation.show(action.log(invocation.context(), name))
    return 0
