"""`dataguard unmount`."""

from typing import Annotated

import typer

from dataguard.cli.command import command
from dataguard.cli.invocation import Invocation
from dataguard.cli.options import DryRun, WorkspaceOption
from dataguard.cli.workspaces_here import need_workspace

__all__ = ["add"]


def add(app: typer.Typer) -> None:
    """Add the command to an app."""
    command(
        app,
        "unmount",
        examples=("dataguard unmount faces", "dataguard unmount --all -w ~/project"),
        table=True,
        exit_codes=(0, 2, 10, 11, 12, 13),
    )(unmount)


def unmount(
    invocation: Invocation,
    reference: Annotated[
        str | None, typer.Argument(metavar="[REF]", help="A version or a mount's name.")
    ] = None,
    workspace: WorkspaceOption = None,
    every: Annotated[bool, typer.Option("--all", help="Everything in the workspace.")] = False,
    forget: Annotated[
        bool, typer.Option("--forget", help="Also take it out of dataguard.toml and the lock.")
    ] = False,
    dry_run: DryRun = False,
) -> int:
    """Undo a mount, leaving nothing behind; dataguard.toml and the lock stay as they are."""
    from dataguard.actions import unmount as action

    directory = need_workspace(workspace)
    result = action.unmount(
        invocation.context(directory),
        reference,
        workspace=directory,
        every=every,
        forget=forget,
        dry_run=dry_run,
    )
    invocation.show(result)
    return 0
