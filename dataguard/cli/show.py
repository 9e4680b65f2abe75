"""`dataguard show`."""

import typer

from dataguard.cli.command import command
from dataguard.cli.invocation import Invocation
from dataguard.cli.options import Reference

__all__ = ["add"]


def add(app: typer.Typer) -> None:
    """Add the command to an app."""
    command(
        app,
        "show",
        examples=("dataguard show faces", "dataguard show faces@3 --format json"),
        exit_codes=(0, 2, 10, 12, 13),
    )(show)


def show(invocation: Invocation, reference: Reference) -> int:
    """Show a version: digests, locations, guarantee, last audit, runs, and who uses it now.

    A mount or run of another host, or one that cannot be seen from here, is `unknown`.
    """
    from dataguard.actions import show as action

    invocation.show(action.show(invocation.context(), reference))
    return 0
