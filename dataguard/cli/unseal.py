"""`dataguard unseal`."""

from typing import Annotated

import typer

from dataguard.cli.command import command
from dataguard.cli.invocation import Invocation
from dataguard.cli.options import DryRun, LocationOption, Reason, Reference
from dataguard.core.outcome import FINE, UNCHECKED
from dataguard.model.duration import parse_duration

__all__ = ["add"]

_FOR_GOOD = "good"


def add(app: typer.Typer) -> None:
    """Add the command to an app."""
    command(
        app,
        "unseal",
        examples=(
            "dataguard unseal faces@3 --reason 'labels of shard 7' --for 2h",
            "dataguard unseal faces@3 --reason 'moves to other disks' --for good",
        ),
        exit_codes=(0, 2, 4, 10, 11, 12, 13),
    )(unseal)


def unseal(
    invocation: Invocation,
    reference: Reference,
    reason: Reason,
    duration: Annotated[
        str,
        typer.Option("--for", metavar="2h", help="How long it may stay open, or `good`."),
    ],
    location: LocationOption = None,
    dry_run: DryRun = False,
) -> int:
    """Open a sealed source for a while, and record who did it, why and until when.

    Modes are put back as they were before the seal. When the time is over, every command that
    looks at the version says so until `dataguard seal` closes it: nothing closes it by itself.
    With `--for good` the seal is given up.
    """
    from dataguard.actions import unseal as action

    length = None if duration == _FOR_GOOD else parse_duration(duration)
    result = action.unseal(
        invocation.context(), reference, reason, length, place=location, dry_run=dry_run
    )
    invocation.show(result)
    return UNCHECKED if result.unreadable else FINE
