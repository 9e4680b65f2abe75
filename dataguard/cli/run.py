"""`dataguard run`."""

from typing import Annotated

import typer

from dataguard.cli.command import command
from dataguard.cli.invocation import Invocation
from dataguard.cli.jobs import (
    Confine,
    ConfineOption,
    ExplainOption,
    FinishOption,
    InputsOption,
    OutputOption,
    ReportOption,
    RunIdOption,
    UnconfinedOption,
    WritesInto,
    WritesOption,
    go_on,
    perform,
)
from dataguard.cli.options import WorkspaceOption

__all__ = ["add"]


def add(app: typer.Typer) -> None:
    """Add the command to an app."""
    command(
        app,
        "run",
        examples=(
            "dataguard run -- python train.py --data {in:faces} --out {out}",
            "dataguard run --input faces@3 --confine strict -- make all",
            "dataguard run --writes route -- python train.py",
            "dataguard run --explain -- python train.py",
            "dataguard run --output s3://results/me -- python train.py",
            "dataguard run --finish 20261123T201500-1a2b3c4d",
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
    job: Annotated[
        list[str] | None, typer.Argument(metavar="-- CMD...", help="The job.", show_default=False)
    ] = None,
    workspace: WorkspaceOption = None,
    inputs: InputsOption = None,
    output: OutputOption = None,
    run_id: RunIdOption = None,
    writes: WritesOption = WritesInto.REFUSE,
    confine: ConfineOption = Confine.PROTECT,
    unconfined: UnconfinedOption = False,
    explain: ExplainOption = False,
    report: ReportOption = None,
    finish: FinishOption = None,
) -> int:
    """Run a confined job between two verifications of its inputs, and record what it wrote.

    The job runs in the caller's directory with DATAGUARD_RUN_ID, DATAGUARD_OUTPUTS,
    DATAGUARD_INPUT_<NAME> and a private TMPDIR; {in:NAME} and {out} in the command are replaced.
    It cannot write gold, and everything it started ends with it; with --writes route what it writes
    there lands in its outputs and is listed. Its exit code is this command's,
    unless gold changed meanwhile (3) or the job was not started (125).
    Outputs below s3:// are uploaded when the job ended: complete, or the run says what is missing.
    """
    if finish is not None:
        return go_on(invocation, finish, tuple(job or ()), report=report)
    return perform(
        invocation,
        tuple(job or ()),
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
