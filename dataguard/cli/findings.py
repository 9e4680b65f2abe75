"""`dataguard findings list|show|ack|resolve`."""

from typing import Annotated

import typer

from dataguard.cli.command import command
from dataguard.cli.invocation import Invocation
from dataguard.cli.options import DryRun, Reason
from dataguard.errors import UsageError
from dataguard.model.finding import Code, FindingState
from dataguard.model.reference import Reference

__all__ = ["app"]

app = typer.Typer(
    name="findings",
    help="What was found: list, show, acknowledge, resolve.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_Id = Annotated[str, typer.Argument(metavar="ID", help="The finding's id: F-...")]


@command(
    app,
    "list",
    group="findings",
    examples=("dataguard findings list", "dataguard findings list faces --code DG101"),
    table=True,
    exit_codes=(0, 2, 12, 13),
)
def list_findings(
    invocation: Invocation,
    name: Annotated[
        str | None, typer.Argument(metavar="[REF]", help="A dataset or version; default: all.")
    ] = None,
    code: Annotated[
        str | None, typer.Option("--code", metavar="CODE", help="Only this code: DG101.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", "-a", help="Also acknowledged and resolved ones.")
    ] = False,
) -> int:
    """List recorded findings that are open; exits 0 whatever is listed."""
    from dataguard.actions import findings as action

    reference = None if name is None else Reference.parse(name)
    ctx = invocation.context()
    number = None
    if reference is not None and str(reference) != reference.dataset:
        number = ctx.catalog.resolve(reference).number
    result = action.list_findings(
        ctx,
        dataset=None if reference is None else reference.dataset,
        version=number,
        states=tuple(FindingState) if every else (FindingState.OPEN,),
        code=None if code is None else _code(code),
    )
    invocation.show(result)
    return 0


@command(
    app,
    "show",
    group="findings",
    examples=("dataguard findings show F-0123456789abcdef -v",),
    table=True,
    exit_codes=(0, 2, 10, 12, 13),
)
def show(invocation: Invocation, finding_id: _Id) -> int:
    """Show one finding with its remedy and evidence."""
    from dataguard.actions import findings as action

    invocation.verbose = max(invocation.verbose, 1)
    invocation.show(action.show(invocation.context(), finding_id))
    return 0


@command(
    app,
    "ack",
    group="findings",
    examples=("dataguard findings ack F-0123456789abcdef --reason known",),
    table=True,
    exit_codes=(0, 2, 10, 12, 13),
)
def ack(invocation: Invocation, finding_id: _Id, reason: Reason, dry_run: DryRun = False) -> int:
    """Mark a finding as known; it is not listed as open any more."""
    from dataguard.actions import findings as action

    invocation.show(action.acknowledge(invocation.context(), finding_id, reason, dry_run=dry_run))
    return 0


@command(
    app,
    "resolve",
    group="findings",
    examples=("dataguard findings resolve F-0123456789abcdef --reason fixed",),
    table=True,
    exit_codes=(0, 2, 10, 12, 13),
)
def resolve(
    invocation: Invocation, finding_id: _Id, reason: Reason, dry_run: DryRun = False
) -> int:
    """Close a finding; it opens again when it is seen again."""
    from dataguard.actions import findings as action

    invocation.show(action.resolve(invocation.context(), finding_id, reason, dry_run=dry_run))
    return 0


def _code(text: str) -> Code:
    try:
        return Code[text.upper()]
    except KeyError as err:
        raise UsageError(f"no finding code `{text}`", hint="docs/findings.md lists them") from err
