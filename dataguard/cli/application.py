"""The application: every command in the order in which help shows it."""

import typer

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
