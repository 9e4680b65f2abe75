"""`dataguard policy check|show|explain`."""

from typing import Annotated

import typer

from dataguard.cli.command import command
from dataguard.cli.invocation import Invocation
from dataguard.cli.workspaces_here import find_workspace

__all__ = ["app"]

app = typer.Typer(
    name="policy",
    help="Validate, show and explain the rules in force.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_INVALID = 2
_REFUSED = 3


@command(
    app, "check", group="policy", examples=("dataguard policy check team.toml",), exit_codes=(0, 2)
)
def check(
    invocation: Invocation,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A policy file, or a ready policy's name.")
    ],
) -> int:
    """Validate a policy file; each problem with its line."""
    from dataguard.actions import policy as action

    result = action.check(file)
    invocation.show(result)
    return 0 if result.valid else _INVALID


@command(app, "show", group="policy", examples=("dataguard policy show",), exit_codes=(0, 2))
def show(invocation: Invocation) -> int:
    """Show the rules in force, and which layer decided each."""
    from dataguard.actions import policy as action

    invocation.show(action.show(invocation.policy(_workspace())))
    return 0


@command(
    app,
    "explain",
    group="policy",
    examples=("dataguard policy explain /scratch/me/out", "dataguard policy explain DG105"),
    exit_codes=(0, 2, 3, 12, 13),
    meanings={3: "outputs may not go there"},
)
def explain(
    invocation: Invocation,
    what: Annotated[str, typer.Argument(metavar="WHAT", help="A path, or a finding code.")],
) -> int:
    """Explain to which area a path belongs and whether outputs may go there, or a finding code.

    Exits 3 for a path where outputs may not go.
    """
    from dataguard.actions import gate
    from dataguard.actions import policy as action

    loaded = invocation.policy(_workspace())
    if what.upper().startswith("DG") and what[2:].isdigit():
        invocation.show(action.explain_code(what, loaded))
        return 0
    ctx = invocation.context(_workspace())
    placement = action.explain_place(gate.output_facts(what), loaded, gate.places(ctx))
    invocation.show(placement)
    return 0 if placement.code is None else _REFUSED


def _workspace() -> str | None:
    found = find_workspace(None)
    return None if found is None else found.directory
