"""`dataguard mount`."""

from enum import StrEnum
from typing import Annotated

import typer

from dataguard.cli.command import command
from dataguard.cli.invocation import Invocation
from dataguard.cli.options import DryRun, WorkspaceOption
from dataguard.cli.workspaces_here import find_workspace, need_workspace

__all__ = ["add"]


class Emit(StrEnum):
    """Whom configuration can be printed for; the model's words, without loading it for help."""

    DOCKER = "docker"
    COMPOSE = "compose"
    K8S = "k8s"
    OCI = "oci"
    SYSTEMD = "systemd"
    BWRAP = "bwrap"


def add(app: typer.Typer) -> None:
    """Add the command to an app."""
    command(
        app,
        "mount",
        examples=(
            "dataguard mount faces@3",
            "dataguard mount vision/faces@prod -w ~/project --as faces",
            "dataguard mount",
            "dataguard mount faces@3 --emit docker",
        ),
        exit_codes=(0, 2, 3, 10, 11, 12, 13),
    )(mount)


def mount(
    invocation: Invocation,
    reference: Annotated[
        str | None,
        typer.Argument(metavar="[REF]", help="A version; without one: all that is declared."),
    ] = None,
    workspace: WorkspaceOption = None,
    name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Its name in data/.")
    ] = None,
    backend: Annotated[
        str,
        typer.Option(
            "--backend",
            metavar="NAME",
            help="auto, bind, overlay, cas, fuse, container, symlink or declared.",
        ),
    ] = "auto",
    best_effort: Annotated[
        bool,
        typer.Option("--best-effort", help="Take a weaker backend rather than none."),
    ] = False,
    emit: Annotated[
        Emit | None,
        typer.Option(
            "--emit", metavar="FORM", help="Print configuration for another program instead."
        ),
    ] = None,
    dry_run: DryRun = False,
) -> int:
    """Make a version visible read-only at DIR/data/NAME, and prove that it cannot be written.

    Writes dataguard.toml and dataguard.lock; without a reference it restores what they say.
    With --emit docker, compose, k8s, oci, systemd or bwrap it mounts and writes nothing.
    """
    if emit is not None:
        return _emit(invocation, emit, reference, workspace, name)
    from dataguard.actions import mount as action
    from dataguard.model.reference import Reference

    directory = need_workspace(workspace)
    report = action.mount(
        invocation.context(directory),
        None if reference is None else Reference.parse(reference),
        workspace=directory,
        name=name,
        backend=backend,
        best_effort=best_effort,
        dry_run=dry_run,
    )
    invocation.show(report)
    return invocation.outcome(report.findings, unchecked=False)


def _emit(
    invocation: Invocation,
    form: Emit,
    reference: str | None,
    workspace: str | None,
    name: str | None,
) -> int:
    from dataguard.actions.emit import emit
    from dataguard.model.emit import Dialect
    from dataguard.model.reference import Reference

    found = find_workspace(workspace)
    directory = None if found is None else found.directory
    if directory is None and reference is None:
        directory = need_workspace(workspace)
    report = emit(
        invocation.context(directory),
        Dialect(form.value),
        None if reference is None else Reference.parse(reference),
        workspace=directory,
        name=name,
    )
    invocation.show(report)
    return 0
