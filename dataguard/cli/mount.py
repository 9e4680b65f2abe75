"""`dataguard mount`."""

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
        "mount",
        examples=(
            "dataguard mount faces@3",
            "dataguard mount vision/faces@prod -w ~/project --as faces",
            "dataguard mount",
        ),
        exit_codes=(0, 2, 3, 10, 11, 12, 13),
    )(mount)


def mount(
    invocation: Invocation,
    reference: Annotated[
        str | None,
        typer.Argument(metavar="[REF]", help="A version; without one: all that is declared."),
    ] = None,
    workspace: WorkspaceOption = None,
    name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Its name in data/.")
    ] = None,
    backend: Annotated[
        str,
        typer.Option(
            "--backend", metavar="NAME", help="auto, bind, container, symlink or declared."
        ),
    ] = "auto",
    best_effort: Annotated[
        bool,
        typer.Option("--best-effort", help="Take a weaker backend rather than none."),
    ] = False,
    dry_run: DryRun = False,
) -> int:
    """Make a version visible read-only at DIR/data/NAME, and prove that it cannot be written.

    Writes dataguard.toml and dataguard.lock; without a reference it restores what they say.
    """
    from dataguard.actions import mount as action
    from dataguard.model.reference import Reference

    directory = need_workspace(workspace)
    report = action.mount(
        invocation.context(directory),
        None if reference is None else Reference.parse(reference),
        workspace=directory,
        name=name,
        backend=backend,
        best_effort=best_effort,
        dry_run=dry_run,
    )
    invocation.show(report)
    return invocation.outcome(report.findings, unchecked=False)
