"""`dataguard workspace init|show|list|remove`."""

from typing import Annotated

import typer

from dataguard.cli.command import command
from dataguard.cli.invocation import Invocation
from dataguard.cli.options import DryRun, Format, Yes
from dataguard.cli.workspaces_here import need_workspace

__all__ = ["app"]

app = typer.Typer(
    name="workspace",
    help="Make and look after workspaces.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_Directory = Annotated[str, typer.Argument(metavar="DIR", help="The workspace's directory.")]


@command(
    app,
    "init",
    group="workspace",
    examples=("dataguard workspace init ~/project --outputs /scratch/me/project",),
    exit_codes=(0, 2, 11, 12, 13),
)
def init(
    invocation: Invocation,
    directory: _Directory,
    outputs: Annotated[
        str,
        typer.Option(
            "--outputs", metavar="PLACE", help="Where runs put their outputs; relative: to DIR."
        ),
    ],
    dry_run: DryRun = False,
) -> int:
    """Make a directory a workspace; what is in it stays.

    Outputs inside gold or inside the data of a workspace are refused.
    """
    from dataguard.actions import workspace as action

    invocation.show(action.init(invocation.context(), directory, outputs, dry_run=dry_run))
    return 0


@command(
    app,
    "show",
    group="workspace",
    examples=("dataguard workspace show",),
    exit_codes=(0, 2, 10, 12, 13),
)
def show(
    invocation: Invocation,
    directory: Annotated[
        str | None, typer.Argument(metavar="[DIR]", help="Default: the nearest workspace.")
    ] = None,
) -> int:
    """Show a workspace: outputs place, what is declared, what is mounted."""
    from dataguard.actions import workspace as action

    invocation.show(action.show(invocation.context(), need_workspace(directory)))
    return 0


@command(
    app,
    "list",
    group="workspace",
    examples=("dataguard workspace list",),
    table=True,
    exit_codes=(0, 2, 12, 13),
)
def list_workspaces(invocation: Invocation) -> int:
    """List the workspaces that the catalog knows, on all hosts."""
    from dataguard.actions import workspace as action

    invocation.show(action.listed(invocation.context()))
    return 0


@command(
    app,
    "remove",
    group="workspace",
    examples=("dataguard workspace remove ~/project --yes",),
    table=True,
    exit_codes=(0, 2, 10, 11, 12, 13),
)
def remove(
    invocation: Invocation, directory: _Directory, yes: Yes = False, dry_run: DryRun = False
) -> int:
    """Unmount everything in a workspace and forget it; its files and outputs stay."""
    from dataguard.actions import workspace as action
    from dataguard.report.lines import place

    if not dry_run:
        invocation.confirm(f"unmount everything in {directory} and forget it?", yes=yes)
    unmounted = action.remove(invocation.context(), directory, dry_run=dry_run)
    if unmounted or invocation.format is not Format.TEXT:
        invocation.show(unmounted)
    if invocation.format is Format.TEXT:
        verb = "would forget" if dry_run else "forgot"
        invocation.say(f"{verb} the workspace {place(directory)}; its files and outputs stay")
    return 0
