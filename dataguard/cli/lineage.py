"""`dataguard lineage`."""

from typing import Annotated

import typer

from dataguard.cli.command import command
from dataguard.cli.invocation import Invocation

__all__ = ["add"]


def add(app: typer.Typer) -> None:
    """Add the command to an app."""
    command(
        app,
        "lineage",
        examples=(
            "dataguard lineage faces@3",
            "dataguard lineage /scratch/me/out/runs/20260102T030405-1a2b3c4d/model.pt",
        ),
        exit_codes=(0, 2, 10, 12, 13),
    )(lineage)


def lineage(
    invocation: Invocation,
    what: Annotated[str, typer.Argument(metavar="WHAT", help="A version, a run id or a file.")],
) -> int:
    """Tell who used a version, or which run made a file from which inputs."""
    from dataguard.actions import lineage as action

    invocation.show(action.lineage(invocation.context(), what))
    return 0
