"""`dataguard tag`."""

from typing import Annotated

import typer

from dataguard.cli.command import command
from dataguard.cli.invocation import Invocation
from dataguard.cli.options import DryRun, Reference

__all__ = ["add"]


def add(app: typer.Typer) -> None:
    """Add the command to an app."""
    command(
        app,
        "tag",
        examples=("dataguard tag faces@3 prod",),
        exit_codes=(0, 2, 10, 11, 12, 13),
    )(tag)


def tag(
    invocation: Invocation,
    reference: Reference,
    name: Annotated[str, typer.Argument(metavar="TAG", help="The tag.")],
    dry_run: DryRun = False,
) -> int:
    """Let a tag name a version; where it was before stays in the log."""
    from dataguard.actions import tag as action

    invocation.show(action.tag(invocation.context(), reference, name, dry_run=dry_run))
    return 0
