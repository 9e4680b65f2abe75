"""`dataguard withdraw`."""

from typing import Annotated

import typer

from dataguard.cli.command import command
from dataguard.cli.invocation import Invocation
from dataguard.cli.options import DryRun, Reason, Reference

__all__ = ["add"]


def add(app: typer.Typer) -> None:
    """Add the command to an app."""
    command(
        app,
        "withdraw",
        examples=("dataguard withdraw faces@3 --reason 'labels of shard 7'",),
        exit_codes=(0, 2, 10, 11, 12, 13),
    )(withdraw)


def withdraw(
    invocation: Invocation,
    reference: Reference,
    reason: Reason,
    force: Annotated[bool, typer.Option("--force", help="Also while it is in use.")] = False,
    dry_run: DryRun = False,
) -> int:
    """Mark a version as not to be used any more; deletes no data.

    Refused while a mount or a run holds a lease on it, unless forced; one that cannot be seen from
    here counts.
    """
    from dataguard.actions import standing as action

    result = action.withdraw(invocation.context(), reference, reason, force=force, dry_run=dry_run)
    invocation.show(result)
    return 0
