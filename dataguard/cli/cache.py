"""`dataguard cache show|prune|verify`."""

from typing import Annotated

import typer

from dataguard.cli.command import command
from dataguard.cli.invocation import Invocation
from dataguard.cli.options import DryRun
from dataguard.core.outcome import FINE, UNCHECKED, VIOLATED
from dataguard.errors import UsageError

__all__ = ["app"]

app = typer.Typer(
    name="cache",
    help="Show, prune and verify this node's cache of object-store data.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@command(
    app,
    "show",
    group="cache",
    examples=("dataguard cache show", "dataguard cache show --format json"),
    exit_codes=(0, 2, 12, 13),
)
def show(invocation: Invocation) -> int:
    """Show what the cache holds, how full it may get, who needs what, and what was refused."""
    from dataguard.actions import cache as action

    invocation.show(action.show(invocation.context()))
    return FINE


@command(
    app,
    "prune",
    group="cache",
    examples=(
        "dataguard cache prune -n",
        "dataguard cache prune --to 100G",
        "dataguard cache prune --all",
    ),
    exit_codes=(0, 2, 12, 13),
)
def prune(
    invocation: Invocation,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="SIZE", help="Down to this size: 500M, 100G."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Everything that nobody needs now.")
    ] = False,
    dry_run: DryRun = False,
) -> int:
    """Remove what was not used for the longest time, by default down to the low mark.

    What a mount, a run or another process has pinned stays, and whoever has a file open goes on
    reading it. Everything that goes can be fetched again.
    """
    from dataguard.model.size import parse_size

    if to is not None and everything:
        raise UsageError("--to and --all are two wishes", hint="dataguard cache prune --all")
    target = None if to is None else parse_size(to)
    from dataguard.actions import cache as action

    invocation.show(
        action.prune(invocation.context(), to=target, everything=everything, dry_run=dry_run)
    )
    return FINE


@command(
    app,
    "verify",
    group="cache",
    examples=("dataguard cache verify", "dataguard cache verify --max-duration 2h"),
    exit_codes=(0, 2, 3, 4, 12, 13),
    meanings={
        3: "something was damaged; it was removed, and is fetched again when it is needed",
        4: "something was not read",
    },
)
def verify(
    invocation: Invocation,
    max_duration: Annotated[
        str | None,
        typer.Option(
            "--max-duration", metavar="2h", help="Stop after this time; the next one goes on."
        ),
    ] = None,
    dry_run: DryRun = False,
) -> int:
    """Read the cache again, what was longest not read first, and remove what is damaged."""
    from dataguard.model.duration import parse_duration

    duration = None if max_duration is None else parse_duration(max_duration)
    from dataguard.actions import cache as action

    result = action.verify(invocation.context(), max_duration=duration, dry_run=dry_run)
    invocation.show(result)
    if result.damaged:
        return VIOLATED
    return FINE if result.complete else UNCHECKED
