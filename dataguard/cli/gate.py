"""`dataguard gate`."""

from typing import TYPE_CHECKING, Annotated

from dataguard.cli.command import command
from dataguard.cli.declared import option
from dataguard.cli.invocation import Invocation
from dataguard.cli.options import WorkspaceOption
from dataguard.cli.workspaces_here import find_workspace
from dataguard.core.outcome import FINE, VIOLATED

if TYPE_CHECKING:
    import typer

    from dataguard.cli.plainwords import PlainApp

__all__ = ["add"]


def add(app: "typer.Typer | PlainApp") -> None:
    """Add the command to an app."""
    command(
        app,
        "gate",
        examples=(
            "dataguard gate",
            "dataguard gate --input faces@3 --output /scratch/me/out --format json",
        ),
        exit_codes=(0, 2, 3, 10, 12, 13),
        meanings={0: "allowed", 3: "refused"},
    )(gate)


def gate(
    invocation: Invocation,
    workspace: WorkspaceOption = None,
    inputs: Annotated[
        list[str] | None,
        option("--input", metavar="REF", help="An input; default: all of the lock."),
    ] = None,
    outputs: Annotated[
        list[str] | None,
        option("--output", metavar="PLACE", help="Where outputs go; repeatable."),
    ] = None,
) -> int:
    """Tell whether a job may start, with each check and its reason; reads no data.

    Anything that cannot be established refuses.
    """
    from dataguard.actions import gate as action

    found = find_workspace(workspace)
    ctx = invocation.context(None if found is None else found.directory)
    result = action.gate(ctx, tuple(inputs or ()), tuple(outputs or ()), workspace=found)
    invocation.show(result)
    return FINE if result.allowed else VIOLATED
