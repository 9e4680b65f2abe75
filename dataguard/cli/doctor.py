"""`dataguard doctor`."""

import typer

from dataguard.cli.clock import utc_now
from dataguard.cli.command import command
from dataguard.cli.invocation import Invocation
from dataguard.cli.workspaces_here import find_workspace

__all__ = ["add"]


def add(app: typer.Typer) -> None:
    """Add the command to an app."""
    command(
        app,
        "doctor",
        examples=("dataguard doctor", "dataguard doctor --format json"),
        exit_codes=(0, 1, 2),
        meanings={0: "nothing failed", 1: "something failed"},
    )(doctor)


def doctor(invocation: Invocation) -> int:
    """Show what this host can enforce and reach, and each setting with its origin.

    Changes nothing. Exits 1 where something failed; a missing ability is no failure.
    """
    from dataguard.actions import doctor as action
    from dataguard.sandbox.processes import current_actor

    found = find_workspace(None)
    directory = None if found is None else found.directory
    result = action.doctor(
        invocation.settings(directory), invocation.policy(directory), utc_now, current_actor()
    )
    invocation.show(result)
    return 0 if result.healthy else 1
