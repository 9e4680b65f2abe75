"""`dataguard reclaim`."""

from typing import Annotated

import typer

from dataguard.cli.command import command
from dataguard.cli.invocation import Invocation
from dataguard.cli.options import DryRun
from dataguard.core.outcome import FINE, UNCHECKED
from dataguard.errors import UsageError

__all__ = ["add"]


def add(app: typer.Typer) -> None:
    """Add the command to an app."""
    command(
        app,
        "reclaim",
        examples=(
            "dataguard reclaim /home/ada",
            "dataguard reclaim /home/ada --apply",
            "dataguard reclaim ~/project --of faces@3 --method link --apply",
            "dataguard reclaim ~/project --folders --apply",
            "dataguard reclaim --undo 20300102T030405-0a1b2c3d",
        ),
        exit_codes=(0, 2, 4, 10, 11, 12, 13),
        meanings={
            0: "planned or done; what is left alone is listed with the reason",
            4: "something could not be looked at, given back or brought back",
        },
    )(reclaim)


def reclaim(
    invocation: Invocation,
    places: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PLACE]...", help="Directories or files to look at."),
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Do what the plan says; without it nothing changes.")
    ] = False,
    undo: Annotated[
        str | None,
        typer.Option("--undo", metavar="ID", help="Bring back the files that became links."),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            "--method",
            metavar="HOW",
            help="dedupe shares blocks, link puts a symlink; auto: dedupe where it can.",
        ),
    ] = "auto",
    link_gold: Annotated[
        bool,
        typer.Option(
            "--link-gold",
            help="Link to the location itself where the workspace has no mount of the version.",
        ),
    ] = False,
    folders: Annotated[
        bool,
        typer.Option(
            "--folders",
            help="Let a whole folder that equals one of gold become one link into the workspace's "
            "mount. Nothing can be added to it from then on: it is gold, and read-only.",
        ),
    ] = False,
    only: Annotated[
        str | None,
        typer.Option("--of", metavar="REF", help="Copies of this version only."),
    ] = None,
    dry_run: DryRun = False,
) -> int:
    """Give back the space of exact copies of gold, without risk to any file.

    Shows the plan; --apply does it. On XFS and btrfs a copy shares its blocks with the original:
    the kernel compares the bytes, and inode, times, owner and permissions stay. Elsewhere a symlink
    into the workspace's mount takes the file's place, after a comparison byte for byte, and --undo
    brings the file back. Files that are in use, were changed or have more to them than a link could
    carry are left alone and listed. Gold is never changed, and never linked hard.

    With --folders a folder that has everything of a directory of the version, and nothing else,
    becomes one link to that directory in the workspace's mount. Who then adds a file to it, or
    changes one, is refused: it is gold. --undo makes it a folder of one's own again.
    """
    from dataguard.model.reclaim import Method

    if (undo is None) == (not places):
        raise UsageError(
            "name places, or a reclaim to undo",
            hint="dataguard reclaim DIRECTORY, or: dataguard reclaim --undo ID",
        )
    if undo is not None:
        from dataguard.actions.reclaim import undo as undone

        back = undone(invocation.context(), undo, dry_run=dry_run)
        invocation.show(back)
        return UNCHECKED if back.has_gaps else FINE
    if method not in list(Method):
        raise UsageError(f"no method `{method}`", hint="--method auto, dedupe or link")
    if folders and Method(method) is Method.DEDUPE:
        raise UsageError("--folders makes links, and --method dedupe none", hint="--method link")
    context = invocation.context(reads=True)
    from dataguard.actions.reclaim import reclaim_places  # Arrow: workers start meanwhile

    result = reclaim_places(
        context,
        tuple(places or ()),
        Method(method),
        only=only,
        apply=apply and not dry_run,
        link_gold=link_gold,
        folders=folders,
    )
    invocation.show(result)
    return UNCHECKED if result.has_gaps else FINE
