"""`dataguard policy check|show|explain|export|verify`."""

import os
from enum import StrEnum
from typing import Annotated, TypeVar

import typer

from dataguard.cli.command import command
from dataguard.cli.invocation import Invocation
from dataguard.cli.options import Format
from dataguard.cli.workspaces_here import find_workspace
from dataguard.errors import UsageError

__all__ = ["app"]

Choice = TypeVar("Choice", bound=StrEnum)

app = typer.Typer(
    name="policy",
    help="Validate, show and explain the rules in force; export and prove them.",
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


@command(
    app,
    "export",
    group="policy",
    examples=(
        "dataguard policy export s3://data/gold --dialect ceph --exempt registrar",
        "dataguard policy export faces@3 --exempt arn:aws:iam::111122223333:role/registrar",
        "dataguard policy export faces@3 --as iam-policy --dialect minio",
        "dataguard policy export faces@3 --as object-lock --lock-mode compliance --lock-days 730",
    ),
    exit_codes=(0, 2, 10, 12, 13),
)
def export(
    invocation: Invocation,
    places: Annotated[
        list[str],
        typer.Argument(metavar="LOCATION|REF...", help="s3://BUCKET/PREFIX, or a dataset there."),
    ],
    form: Annotated[
        str,
        typer.Option("--as", metavar="FORM", help="s3-bucket-policy, iam-policy or object-lock."),
    ] = "s3-bucket-policy",
    dialect: Annotated[
        str | None,
        typer.Option(
            "--dialect",
            metavar="DIALECT",
            help="aws, ceph, minio or seaweedfs; default: aws, unless the place is elsewhere.",
        ),
    ] = None,
    exempt: Annotated[
        list[str] | None,
        typer.Option(
            "--exempt",
            metavar="PRINCIPAL",
            help="Who may write gold: an ARN for aws, else a user's name; repeatable.",
        ),
    ] = None,
    admin: Annotated[
        list[str] | None,
        typer.Option(
            "--admin",
            metavar="PRINCIPAL",
            help="Who alone may change the bucket's settings; default: the exempt; repeatable.",
        ),
    ] = None,
    lock_mode: Annotated[
        str, typer.Option("--lock-mode", metavar="MODE", help="governance or compliance.")
    ] = "governance",
    lock_days: Annotated[
        int, typer.Option("--lock-days", metavar="N", help="How long new versions are held.")
    ] = 365,
    endpoint: Annotated[
        str | None,
        typer.Option("--endpoint-url", metavar="URL", help="Where the server is, if not AWS."),
    ] = None,
) -> int:
    """Print a policy that has an object store refuse writes to gold; nothing is applied.

    The policy is JSON on stdout. What it does not stop, and the commands that apply it, are
    written to stderr. A policy that a server accepts may protect nothing: prove it with
    `policy verify` under the credential of a job.
    """
    from dataguard.actions import policyexport as action
    from dataguard.model.objectpolicy import LockMode, PolicyForm, Retention, StoreDialect

    result = action.export(
        invocation.context(),
        _member(PolicyForm, "--as", form),
        None if dialect is None else _member(StoreDialect, "--dialect", dialect),
        tuple(places),
        exempt=tuple(exempt or ()),
        admins=tuple(admin or ()),
        retention=Retention(_member(LockMode, "--lock-mode", lock_mode), lock_days),
        endpoint=endpoint or "",
    )
    invocation.show(result)
    if invocation.format is Format.TEXT:
        from dataguard.report.text_protection import export_notes

        for line in export_notes(result):
            invocation.say(line)
    return 0


@command(
    app,
    "verify",
    group="policy",
    examples=(
        "dataguard policy verify s3://data/gold --profile trainer",
        "dataguard policy verify faces@3 --credential-env JOB",
        "dataguard policy verify /data/faces",
    ),
    exit_codes=(0, 2, 3, 4, 10, 12, 13),
    meanings={0: "every write was refused", 3: "a write got through"},
)
def verify(
    invocation: Invocation,
    place: Annotated[
        str,
        typer.Argument(
            metavar="LOCATION|REF", help="s3://BUCKET/PREFIX, a dataset there, or a directory."
        ),
    ],
    profile: Annotated[
        str | None,
        typer.Option("--profile", metavar="NAME", help="The job's credential, as AWS's files say."),
    ] = None,
    credential_env: Annotated[
        str | None,
        typer.Option(
            "--credential-env",
            metavar="PREFIX",
            help="The job's credential: PREFIX_ACCESS_KEY_ID and PREFIX_SECRET_ACCESS_KEY.",
        ),
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option("--endpoint-url", metavar="URL", help="Where the server is, if not AWS."),
    ] = None,
) -> int:
    """Prove that a job cannot write gold: try to, with its credential.

    Default: the credential that this process would use. No object that exists is touched, and
    what gets through is taken back, and looked for again. The result is kept in the catalog:
    `gate` shows it, and refuses without it where the policy says so ([objects] canary).
    """
    from dataguard.actions import policyverify as action
    from dataguard.model.objects import ObjectPlace

    if profile and credential_env:
        raise UsageError("two credentials are named", hint="--profile or --credential-env")
    result = action.verify(
        invocation.context(),
        place,
        os.environ,
        asked=ObjectPlace(endpoint=endpoint or "", profile=profile or ""),
        prefix=credential_env or "",
    )
    invocation.show(result)
    return invocation.outcome(result.findings, unchecked=result.unchecked)


def _member(kind: type[Choice], option: str, value: str) -> Choice:
    """Return what an option chooses."""
    if value not in list(kind):
        raise UsageError(f"{option} has no `{value}`", hint=f"{option} {'|'.join(kind)}")
    return kind(value)


def _workspace() -> str | None:
    found = find_workspace(None)
    return None if found is None else found.directory
