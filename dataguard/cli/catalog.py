"""`dataguard catalog init|check|rebuild|events|backup|copy|upgrade`."""

from typing import TYPE_CHECKING, Annotated

import typer

from dataguard.cli.clock import utc_now
from dataguard.cli.command import command
from dataguard.cli.invocation import Invocation
from dataguard.cli.options import DryRun, Yes

if TYPE_CHECKING:
    from dataguard.actions.catalog import Place

__all__ = ["app"]

app = typer.Typer(
    name="catalog",
    help="Administer the records.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_DAMAGED = 13


@command(
    app, "init", group="catalog", examples=("dataguard catalog init",), exit_codes=(0, 2, 12, 13)
)
def init(invocation: Invocation, dry_run: DryRun = False) -> int:
    """Make the home and an empty catalog; an existing one stays as it is."""
    from dataguard.actions import catalog as action

    if dry_run and not action.is_there(_place(invocation)):
        url = invocation.settings().catalog.value
        invocation.show({"catalog": url, "id": None, "dry_run": True})
        return 0
    catalog = invocation.context().catalog
    invocation.show({"catalog": invocation.settings().catalog.value, "id": catalog.catalog_id()})
    return 0


@command(
    app,
    "check",
    group="catalog",
    examples=("dataguard catalog check", "dataguard catalog check --apply"),
    exit_codes=(0, 2, 10, 11, 12, 13),
    meanings={13: "something is damaged, or newer"},
)
def check(
    invocation: Invocation,
    apply: Annotated[
        bool, typer.Option("--apply", help="Remove drafts and files that no record names.")
    ] = False,
) -> int:
    """Check database, event chain, manifests and sheets against one another.

    Exits 13 where something is damaged. Left-over files of crashed commands are no damage.
    """
    from dataguard.actions import catalog as action

    result = action.check(_place(invocation), apply=apply)
    invocation.show(result)
    return 0 if result.sound else _DAMAGED


@command(
    app,
    "rebuild",
    group="catalog",
    examples=("dataguard catalog rebuild --yes",),
    exit_codes=(0, 2, 10, 11, 12, 13),
)
def rebuild(invocation: Invocation, yes: Yes = False, dry_run: DryRun = False) -> int:
    """Make the database anew from the event log; the old one is kept beside it."""
    from dataguard.actions import catalog as action

    place = _place(invocation)
    if not dry_run:
        invocation.confirm(f"rebuild {place.url} from {place.events}?", yes=yes)
    invocation.show(action.rebuild(place, utc_now, dry_run=dry_run))
    return 0


@command(
    app,
    "events",
    group="catalog",
    examples=("dataguard catalog events --format jsonl", "dataguard catalog events --after 100"),
    table=True,
    exit_codes=(0, 2, 12, 13),
)
def events(
    invocation: Invocation,
    after: Annotated[
        int, typer.Option("--after", metavar="N", help="Only events after this number.")
    ] = 0,
) -> int:
    """Show the event log: every change, who made it, chained by hashes."""
    from dataguard.actions import catalog as action

    invocation.show(action.events(invocation.context(), after))
    return 0


@command(
    app,
    "backup",
    group="catalog",
    examples=("dataguard catalog backup /backup/dataguard-monday.tar",),
    exit_codes=(0, 2, 10, 11, 12, 13),
)
def backup(
    invocation: Invocation,
    target: Annotated[str, typer.Argument(metavar="FILE", help="A new tar file.")],
    dry_run: DryRun = False,
) -> int:
    """Write records, events, manifests and sheets to one file; others may go on working.

    Unpacked into an empty home it is the catalog again.
    """
    from dataguard.actions import catalog as action

    _refuse_gold(invocation, {"the backup": target})
    invocation.show(action.backup(_place(invocation), target, dry_run=dry_run))
    return 0


@command(
    app,
    "copy",
    group="catalog",
    examples=("dataguard catalog copy /srv/dataguard-home",),
    exit_codes=(0, 2, 10, 11, 12, 13),
)
def copy(
    invocation: Invocation,
    home: Annotated[str, typer.Argument(metavar="HOME", help="A home without a catalog.")],
    dry_run: DryRun = False,
) -> int:
    """Copy the catalog to another home, for example of a second host of a shared file system."""
    from dataguard.actions import catalog as action

    _refuse_gold(invocation, {"the copy": home})
    invocation.show(action.copy(_place(invocation), home, dry_run=dry_run))
    return 0


@command(
    app,
    "upgrade",
    group="catalog",
    examples=("dataguard catalog upgrade",),
    exit_codes=(0, 2, 10, 12, 13),
)
def upgrade(invocation: Invocation, dry_run: DryRun = False) -> int:
    """Bring the schema of an older catalog to this release's."""
    from dataguard.actions import catalog as action
    from dataguard.sandbox.processes import current_actor

    invocation.show(action.upgrade(_place(invocation), utc_now, current_actor(), dry_run=dry_run))
    return 0


def _refuse_gold(invocation: Invocation, written: dict[str, str]) -> None:
    """Refuse what is to be made, and the place of temporary files, where it would lie in gold."""
    from dataguard.actions.footprint import refuse_new
    from dataguard.cli.opening import temporary_places
    from dataguard.sandbox.processes import current_actor

    settings, policy = invocation.settings(), invocation.policy().policy
    refuse_new(settings, policy, utc_now, current_actor(), {**written, **temporary_places()})


def _place(invocation: Invocation) -> "Place":
    from dataguard.actions.catalog import Place

    settings = invocation.settings()
    return Place(settings.catalog.value, settings.home.value)
