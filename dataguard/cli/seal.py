"""`dataguard seal`."""

from typing import Annotated

import typer

from dataguard.cli.command import command
from dataguard.cli.invocation import Invocation
from dataguard.cli.options import DryRun, LocationOption, Reference
from dataguard.core.outcome import FINE, UNCHECKED, VIOLATED
from dataguard.errors import UsageError

__all__ = ["add"]


def add(app: typer.Typer) -> None:
    """Add the command to an app."""
    command(
        app,
        "seal",
        examples=("dataguard seal faces@3", "dataguard seal faces@3 --seal mode"),
        exit_codes=(0, 2, 3, 4, 10, 11, 12, 13),
        meanings={3: "it is not what was registered: not sealed"},
    )(seal)


def seal(
    invocation: Invocation,
    reference: Reference,
    kind: Annotated[
        str | None,
        typer.Option(
            "--seal",
            metavar="KIND",
            help="immutable or mode; default: immutable where the file system has such flags.",
        ),
    ] = None,
    location: LocationOption = None,
    rehash: Annotated[
        bool, typer.Option("--rehash", help="Read every file again once it is sealed.")
    ] = False,
    dry_run: DryRun = False,
) -> int:
    """Protect a source in place, and prove that it is what was registered.

    Sets immutable flags (root, on ext4, XFS, btrfs and tmpfs), which nobody without
    CAP_LINUX_IMMUTABLE gets past by any path; with --seal mode it takes write permission away,
    which the owner and root can undo. Nothing is sealed where something differs or cannot be
    checked. The next quick audit reads no file. Interrupted: the same command goes on. Closes a
    seal that `unseal` opened.
    """
    from dataguard.actions import seal as action
    from dataguard.model.policy import Seal

    if kind not in (None, "mode", "immutable"):
        raise UsageError(f"no seal `{kind}`", hint="--seal immutable or --seal mode")
    wanted = None if kind is None else Seal(kind)
    result = action.seal(
        invocation.context(), reference, wanted, place=location, rehash=rehash, dry_run=dry_run
    )
    invocation.show(result)
    if result.unreadable:
        return UNCHECKED if not result.findings else VIOLATED
    return VIOLATED if result.refused else FINE
