"""`dataguard quarantine`."""

import typer

from dataguard.cli.command import command
from dataguard.cli.invocation import Invocation
from dataguard.cli.options import DryRun, Reason, Reference

__all__ = ["add"]


def add(app: typer.Typer) -> None:
    """Add the command to an app."""
    command(
        app,
        "quarantine",
        examples=("dataguard quarantine faces@3 --reason 'labels of shard 7'",),
        exit_codes=(0, 2, 10, 11, 12, 13),
    )(quarantine)


def quarantine(
    invocation: Invocation,
    reference: Reference,
    reason: Reason,
    dry_run: DryRun = False,
) -> int:
    """Stop new mounts, gates and runs of a version; says who uses it now.

    Reading pinned bytes that verify goes on. Lists the runs since the last clean full audit too:
    what they wrote may rest on damaged data.
    """
    from dataguard.actions import standing as action

    result = action.quarantine(invocation.context(), reference, reason, dry_run=dry_run)
    invocation.show(result)
    return 0
