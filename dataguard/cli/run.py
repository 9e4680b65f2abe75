"""`dataguard run`."""

import os
import sys
from typing import Annotated

import typer

from dataguard.cli.command import command
from dataguard.cli.invocation import Invocation
from dataguard.cli.options import Format, WorkspaceOption
from dataguard.cli.workspaces_here import find_workspace
from dataguard.core.outcome import UNCHECKED, VIOLATED, exit_code
from dataguard.errors import UsageError

__all__ = ["add"]

_NOT_STARTED = 125


def add(app: typer.Typer) -> None:
    """Add the command to an app."""
    command(
        app,
        "run",
        examples=(
            "dataguard run -- python train.py --data {in:faces} --out {out}",
            "dataguard run --input faces@3 -- make all",
        ),
        exit_codes=(0, 2, 3, 4, 10, 11, 12, 13, 125, 126, 127, 130, 143),
        meanings={
            0: "the job ended with 0 and its inputs verify; otherwise its own exit code",
            3: "an input changed during the run: the outputs are tainted",
            4: "an input or output could not be checked",
        },
        pass_through=True,
    )(run)


def run(
    invocation: Invocation,
    job: Annotated[list[str], typer.Argument(metavar="-- CMD...", help="The job.")],
    workspace: WorkspaceOption = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="REF", help="An input; default: all of the lock."),
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", metavar="PLACE", help="Another outputs place.")
    ] = None,
    run_id: Annotated[
        str | None, typer.Option("--run-id", metavar="ID", help="The run's id.")
    ] = None,
    report: Annotated[
        str | None,
        typer.Option("--report", metavar="FILE", help="Write the JSON report there."),
    ] = None,
) -> int:
    """Run a job between two verifications of its inputs, and record what it wrote.

    The job runs in the caller's directory with DATAGUARD_RUN_ID, DATAGUARD_OUTPUTS,
    DATAGUARD_INPUT_<NAME> and a private TMPDIR; {in:NAME} and {out} in the command are replaced.
    Its exit code is this command's, unless gold changed meanwhile (3) or the job was not
    started (125).
    """
    from dataguard.actions import run as action

    if output == "":
        raise UsageError("the outputs place is empty", hint="--output /scratch/out")
    found = find_workspace(workspace)
    ctx = invocation.context(None if found is None else found.directory)
    invocation.check_report(report)
    request = action.Request(
        command=tuple(job),
        references=tuple(inputs or ()),
        outputs=output,
        workspace=found,
        directory=os.getcwd(),
        environment=os.environ,
        run_id=run_id,
    )
    sys.stdout.flush()
    result, decision = action.run(ctx, request)
    _report(invocation, result, decision, report)
    return _exit_code(result)


def _report(invocation: Invocation, result, decision, report: str | None) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Put the report last; in text it goes to stderr, since stdout is the job's."""
    if report is not None:
        invocation.write_report(result, report)
    elif invocation.format is not Format.TEXT:
        invocation.show(result)
        return
    if not decision.allowed:
        invocation.show(decision, stream=sys.stderr)
    invocation.show(result, stream=sys.stderr)


def _exit_code(result) -> int:  # type: ignore[no-untyped-def]  # noqa: ANN001
    if not result.allowed:
        return _NOT_STARTED
    code = exit_code(result.findings, unchecked=bool(result.unreadable))
    if code == VIOLATED or (code == UNCHECKED and result.exit_code == 0):
        return code
    return int(result.exit_code)
