"""What `run` and `shell` have in common: options of confinement, and how a job is asked for."""

import os
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from dataguard.cli.invocation import Invocation
from dataguard.cli.options import Format
from dataguard.cli.workspaces_here import find_workspace
from dataguard.errors import UsageError

if TYPE_CHECKING:
    from dataguard.model.gate import GateResult
    from dataguard.model.results.run import RunResult

__all__ = [
    "Confine",
    "ConfineOption",
    "ExplainOption",
    "FinishOption",
    "InputsOption",
    "OutputOption",
    "ReportOption",
    "RunIdOption",
    "UnconfinedOption",
    "WritesInto",
    "WritesOption",
    "go_on",
    "perform",
]

_NOT_STARTED = 125


class Confine(StrEnum):
    """What a job may write."""

    PROTECT = "protect"
    STRICT = "strict"


class WritesInto(StrEnum):
    """What becomes of writes into inputs."""

    REFUSE = "refuse"
    ROUTE = "route"


InputsOption = Annotated[
    list[str] | None,
    typer.Option("--input", metavar="REF", help="An input; default: all of the lock."),
]
OutputOption = Annotated[
    str | None, typer.Option("--output", metavar="PLACE", help="Another outputs place.")
]
RunIdOption = Annotated[str | None, typer.Option("--run-id", metavar="ID", help="The run's id.")]
ReportOption = Annotated[
    str | None, typer.Option("--report", metavar="FILE", help="Write the JSON report there.")
]
ConfineOption = Annotated[
    Confine,
    typer.Option(
        "--confine", help="What the job may write: all but gold, or outputs and TMPDIR alone."
    ),
]
WritesOption = Annotated[
    WritesInto,
    typer.Option(
        "--writes",
        help="Writes into inputs: refuse them, or route them into the outputs and list them.",
    ),
]
UnconfinedOption = Annotated[
    bool,
    typer.Option("--unconfined", help="Do not confine the job; the record shows it."),
]
ExplainOption = Annotated[
    bool,
    typer.Option("--explain", help="Say what would confine the job and why; run nothing."),
]


FinishOption = Annotated[
    str | None,
    typer.Option(
        "--finish", metavar="ID", help="Run nothing: finish what an interrupted run left here."
    ),
]


def go_on(invocation: Invocation, run_id: str, job: tuple[str, ...], *, report: str | None) -> int:
    """Finish what an interrupted run left, show the report, return the exit code."""
    from dataguard.actions.runfinish import finish_run
    from dataguard.core.outcome import exit_code

    if job:
        raise UsageError("--finish runs no command", hint=f"dataguard run --finish {run_id}")
    ctx = invocation.context(None)
    invocation.check_report(report)
    result = finish_run(ctx, run_id)
    if report is not None:
        invocation.write_report(result, report)
    invocation.show(result)
    return exit_code(result.findings, unchecked=bool(result.unreadable))


def perform(
    invocation: Invocation,
    job: tuple[str, ...],
    *,
    workspace: str | None,
    inputs: list[str] | None,
    output: str | None,
    run_id: str | None,
    writes: WritesInto,
    confine: Confine,
    unconfined: bool,
    explain: bool,
    report: str | None,
) -> int:
    """Run or explain a job, show the report, return the exit code."""
    from dataguard.actions import run as action
    from dataguard.actions.confinement import Rules
    from dataguard.actions.runrequest import Request
    from dataguard.model.confinement import Mode
    from dataguard.model.diversion import Writes

    if output == "":
        raise UsageError("the outputs place is empty", hint="--output /scratch/out")
    found = find_workspace(workspace)
    ctx = invocation.context(None if found is None else found.directory)
    invocation.check_report(report)
    request = Request(
        command=job,
        references=tuple(inputs or ()),
        outputs=output,
        workspace=found,
        directory=os.getcwd(),
        environment=os.environ,
        run_id=run_id,
        rules=Rules(Mode.UNCONFINED if unconfined else Mode(confine), writes=Writes(writes)),
    )
    sys.stdout.flush()
    if explain:
        result, decision = action.explain(ctx, request)
    else:
        result, decision = action.run(ctx, request)
    _report(invocation, result, decision, report, explained=explain)
    return _exit_code(result)


def _report(
    invocation: Invocation,
    result: "RunResult",
    decision: "GateResult",
    report: str | None,
    *,
    explained: bool,
) -> None:
    """Put the report last; in text it goes to stderr, since stdout is the job's."""
    if report is not None:
        invocation.write_report(result, report)
    elif invocation.format is not Format.TEXT:
        invocation.show(result)
        return
    stream = sys.stdout if explained else sys.stderr
    if not decision.allowed:
        invocation.show(decision, stream=stream)
    invocation.show(result, stream=stream)


def _exit_code(result: "RunResult") -> int:
    from dataguard.core.outcome import UNCHECKED, VIOLATED, exit_code

    if not result.allowed:
        return _NOT_STARTED
    code = exit_code(result.findings, unchecked=bool(result.unreadable))
    if code == VIOLATED or (code == UNCHECKED and not result.exit_code):
        return code
    return result.exit_code or 0
