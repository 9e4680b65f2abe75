"""`dataguard diff`."""

from typing import Annotated

import typer

from dataguard.cli.command import command
from dataguard.cli.invocation import Invocation
from dataguard.cli.options import Reference

__all__ = ["add"]


def add(app: typer.Typer) -> None:
    """Add the command to an app."""
    command(
        app,
        "diff",
        examples=("dataguard diff faces@2 faces@3", "dataguard diff faces@2 faces --format csv"),
        table=True,
        exit_codes=(0, 2, 10, 12, 13),
    )(diff)


def diff(
    invocation: Invocation,
    left: Reference,
    right: Annotated[str, typer.Argument(metavar="REF", help="The version to compare with.")],
) -> int:
    """Show what was added, removed, changed and renamed between two versions.

    Reads manifests only; differences are no error.
    """
    from dataguard.actions import diff as action

    invocation.show(action.diff(invocation.context(), left, right))
    return 0
