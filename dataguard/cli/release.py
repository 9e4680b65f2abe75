"""`dataguard release`."""

import typer

from dataguard.cli.command import command
from dataguard.cli.invocation import Invocation
from dataguard.cli.options import DryRun, Reason, Reference

__all__ = ["add"]


def add(app: typer.Typer) -> None:
    """Add the command to an app."""
    command(
        app,
        "release",
        examples=("dataguard release faces@3 --reason 'labels of shard 7'",),
        exit_codes=(0, 2, 10, 11, 12, 13),
    )(release)


def release(
    invocation: Invocation,
    reference: Reference,
    reason: Reason,
    dry_run: DryRun = False,
) -> int:
    """Let a quarantined or withdrawn version be used again.

    A quarantined one needs a clean full audit that began after the quarantine. One that no place
    holds any more is superseded then, not active.
    """
    from dataguard.actions import standing as action

    result = action.release(invocation.context(), reference, reason, dry_run=dry_run)
    invocation.show(result)
    return 0
