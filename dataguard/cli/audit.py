"""`dataguard audit`."""

from typing import Annotated

import typer

from dataguard.cli.command import command
from dataguard.cli.invocation import Invocation
from dataguard.cli.options import DryRun
from dataguard.errors import UsageError
from dataguard.model.audit import AuditLevel
from dataguard.model.duration import parse_duration

__all__ = ["add"]


def add(app: typer.Typer) -> None:
    """Add the command to an app."""
    command(
        app,
        "audit",
        examples=(
            "dataguard audit",
            "dataguard audit faces@3 --level quick",
            "dataguard audit --max-age 30d --format jsonl",
        ),
        table=True,
        exit_codes=(0, 1, 2, 3, 4, 10, 12, 13, 130, 143),
    )(audit)


def audit(
    invocation: Invocation,
    references: Annotated[
        list[str] | None,
        typer.Argument(metavar="[REF]...", help="Versions; default: all that are in use."),
    ] = None,
    level: Annotated[
        str,
        typer.Option(
            "--level",
            metavar="LEVEL",
            help="full: read every byte. quick: the baseline's metadata, and suspects.",
        ),
    ] = "full",
    max_age: Annotated[
        str | None,
        typer.Option("--max-age", metavar="30d", help="Leave out what was audited since."),
    ] = None,
    report: Annotated[
        str | None, typer.Option("--report", metavar="FILE", help="Also write JSON to a file.")
    ] = None,
    engine: Annotated[
        str | None, typer.Option("--engine", metavar="NAME", help="auto, serial or local.")
    ] = None,
    workers: Annotated[
        str | None, typer.Option("--workers", metavar="N", help="auto, or a number of processes.")
    ] = None,
    dry_run: DryRun = False,
) -> int:
    """Compare what is there with the manifest, and record what was found.

    Each finding has a class: changed, missing, extra, other kind, other metadata, unstable, bit
    rot, hard link, link that leads out. What cannot be read is reported as unchecked.
    """
    from dataguard.actions import audit as action

    if level not in tuple(AuditLevel):
        raise UsageError(f"no audit level `{level}`", hint="quick or full")
    invocation.flag("engine", engine)
    invocation.flag("workers", workers)
    invocation.check_report(report)
    result = action.audit(
        invocation.context(),
        tuple(references or ()),
        level=AuditLevel(level),
        max_age=None if max_age is None else parse_duration(max_age),
        dry_run=dry_run,
    )
    invocation.show(result)
    if report is not None:
        invocation.write_report(result, report)
    return invocation.outcome(result.findings, unchecked=not result.complete)
