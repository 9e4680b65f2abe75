"""`dataguard shell`."""

import os

import typer

from dataguard.cli.command import command
from dataguard.cli.invocation import Invocation
from dataguard.cli.jobs import (
    Confine,
    ConfineOption,
    ExplainOption,
    InputsOption,
    OutputOption,
    ReportOption,
    RunIdOption,
    UnconfinedOption,
    WritesInto,
    WritesOption,
    perform,
)
from dataguard.cli.options import WorkspaceOption

__all__ = ["add"]


def add(app: typer.Typer) -> None:
    """Add the command to an app."""
    command(
        app,
        "shell",
        examples=("dataguard shell", "dataguard shell --input faces@3 --confine strict"),
        exit_codes=(0, 2, 3, 4, 10, 11, 12, 13, 125, 126, 127, 130, 143),
        meanings={
            0: "the shell ended with 0 and the inputs verify; otherwise its own exit code",
            3: "an input changed meanwhile: the outputs are tainted",
            4: "an input or output could not be checked",
        },
    )(shell)


def shell(
    invocation: Invocation,
    workspace: WorkspaceOption = None,
    inputs: InputsOption = None,
    output: OutputOption = None,
    run_id: RunIdOption = None,
    writes: WritesOption = WritesInto.REFUSE,
    confine: ConfineOption = Confine.PROTECT,
    unconfined: UnconfinedOption = False,
    explain: ExplainOption = False,
    report: ReportOption = None,
) -> int:
    """Work in a shell that is confined as `run` confines a job, and recorded as a run.

    The shell is that of SHELL, else /bin/sh; it is in the caller's directory and sees declared
    mounts. What it started ends with it.
    """
    return perform(
        invocation,
        (os.environ.get("SHELL") or "/bin/sh",),
        workspace=workspace,
        inputs=inputs,
        output=output,
        run_id=run_id,
        writes=writes,
        confine=confine,
        unconfined=unconfined,
        explain=explain,
        report=report,
    )
