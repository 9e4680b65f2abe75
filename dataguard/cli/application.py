"""The application: every command in the order in which help shows it."""

from typing import Annotated

import typer

from dataguard import __version__
from dataguard.cli import (
    audit,
    catalog,
    diff,
    doctor,
    findings,
    gate,
    lineage,
    list,
    log,
    mount,
    policy,
    quarantine,
    register,
    release,
    run,
    show,
    tag,
    unmount,
    version,
    withdraw,
    workspace,
)

__all__ = ["app"]

app = typer.Typer(
    name="dataguard",
    help="Guard shared source datasets: register in place, mount read-only, gate jobs, audit.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dataguard {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    del version


for module in (register, list, show, log, diff, tag, withdraw, quarantine, release):
    module.add(app)
app.add_typer(workspace.app)
for module in (mount, unmount, gate, run, audit):
    module.add(app)
app.add_typer(findings.app)
lineage.add(app)
app.add_typer(policy.app)
app.add_typer(catalog.app)
doctor.add(app)
version.add(app)
