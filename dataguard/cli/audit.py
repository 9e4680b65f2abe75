"""`dataguard audit`."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from dataguard.cli.command import command
from dataguard.cli.declared import argument, option
from dataguard.cli.invocation import Invocation
from dataguard.cli.options import DryRun, Scheduler
from dataguard.core.objectplaces import is_objects
from dataguard.errors import CatalogDamagedError, UsageError
from dataguard.model.audit import AuditLevel, Slice
from dataguard.model.duration import parse_duration

if TYPE_CHECKING:
    import typer

    from dataguard.cli.plainwords import PlainApp

__all__ = ["add"]


_IN_PARTS = "3"
"""The level that reads a part of a bucket at a time."""


def add(app: "typer.Typer | PlainApp") -> None:
    """Add the command to an app."""
    command(
        app,
        "audit",
        examples=(
            "dataguard audit",
            "dataguard audit faces@3 --level quick",
            "dataguard audit --max-age 30d --format jsonl",
            "dataguard audit faces@3 --slice 1/64",
            "dataguard audit faces@3 --merge",
            "dataguard audit faces@3 --merge --from 1.json --from 2.json",
            "dataguard audit faces@3 --level 3 --batch-job job --batch-place s3://ops/audits",
        ),
        table=True,
        exit_codes=(0, 1, 2, 3, 4, 10, 11, 12, 13, 130, 143),
    )(audit)


def audit(
    invocation: Invocation,
    references: Annotated[
        list[str] | None,
        argument(metavar="[REF]...", help="Versions; default: all that are in use."),
    ] = None,
    level: Annotated[
        str,
        option(
            "--level",
            metavar="LEVEL",
            help="full: read every byte. quick: the baseline's metadata, and suspects; of objects "
            "what pins and protects them. Or 0 to 4.",
        ),
    ] = "full",
    part: Annotated[
        str | None,
        option(
            "--slice", metavar="I/T", help="Look at part I of T only, for an array job of T tasks."
        ),
    ] = None,
    merge: Annotated[
        bool, option("--merge", help="Make one audit of all slices that were looked at.")
    ] = False,
    reports: Annotated[
        list[str] | None,
        option(
            "--from",
            metavar="FILE",
            help="With --merge: the --report of a slice that used another catalog; repeat.",
        ),
    ] = None,
    max_age: Annotated[
        str | None,
        option("--max-age", metavar="30d", help="Leave out what was audited since."),
    ] = None,
    report: Annotated[
        str | None, option("--report", metavar="FILE", help="Also write JSON to a file.")
    ] = None,
    batch_job: Annotated[
        str | None,
        option(
            "--batch-job",
            metavar="DIR",
            help="With --level 3: write a job for S3 Batch Operations there, look at nothing.",
        ),
    ] = None,
    batch_place: Annotated[
        str | None,
        option(
            "--batch-place",
            metavar="s3://BUCKET/PREFIX",
            help="Where the job's manifest will be, and its report.",
        ),
    ] = None,
    batch_role: Annotated[
        str | None,
        option("--batch-role", metavar="ARN", help="The role under which the job works."),
    ] = None,
    engine: Annotated[
        str | None, option("--engine", metavar="NAME", help="auto, serial, local or dask.")
    ] = None,
    scheduler: Scheduler = None,
    workers: Annotated[
        str | None, option("--workers", metavar="N", help="auto, or a number of processes.")
    ] = None,
    dry_run: DryRun = False,
) -> int:
    """Compare what is there with the manifest, and record what was found.

    Each finding has a class: changed, missing, extra, other kind, other metadata, unstable, bit
    rot, hard link, link that leads out. What cannot be read is reported as unchecked.

    Levels by number: of a bucket, 0 compares its listing (keys, sizes, etags); 1, which is quick,
    asks for the pinned versions, what lies over them and what protects them; 2 also for the
    checksums that the store keeps; 3 reads what is pinned, a --slice at a time; 4, which is full,
    all of it. Levels 0 to 2 read no content. On a local tree 0 and 1 are quick, 2 to 4 full. The
    result says which was done, and what that proves.

    With --slice, T tasks on any hosts and at any time look at one part each; when all are done,
    --merge records them as one audit, or names the parts that are missing. Tasks that cannot
    use one catalog each write a --report, which --merge takes in with --from.

    With --level 3 --batch-job nothing is asked, compared or recorded: a new directory gets the
    list of a version's pinned objects and the job with which S3 itself reads them where they lie
    (Compute checksum). You submit it, with the commands that are printed.
    """
    if batch_job is not None or batch_place is not None or batch_role is not None:
        if batch_job is None or level != _IN_PARTS or part or merge or reports or report or max_age:
            raise UsageError(
                "--batch-job describes one job of level 3, and audits nothing",
                hint="dataguard audit REF --level 3 --batch-job DIR",
            )
        how = (batch_job, batch_place or "", batch_role or "")
        return _batch_job(invocation, tuple(references or ()), how, dry_run=dry_run)
    done = AuditLevel.of(level)
    wanted = None if part is None else Slice.parse(part)
    if merge and wanted is not None:
        raise UsageError("--merge is about all slices", hint="dataguard audit REF --merge")
    if reports and (dry_run or not merge):
        raise UsageError(
            "--from records what is in reports, for a merge",
            hint="dataguard audit REF --merge --from FILE",
        )
    invocation.check_report(report)
    invocation.flag("engine", engine)
    invocation.flag("scheduler", scheduler)
    invocation.flag("workers", workers)
    asked = tuple(references or ())
    age = None if max_age is None else parse_duration(max_age)
    if merge:
        from dataguard.actions.merge import merge as action_merge
        from dataguard.actions.slicereports import take_in

        take_in(invocation.context(), reports or ())
        result = action_merge(invocation.context(), asked, level=done, max_age=age, dry_run=dry_run)
    else:
        from dataguard.actions.audittargets import begin, check_parts

        context = invocation.context(reads=True)
        if level == _IN_PARTS and wanted is None:
            check_parts(context, asked)
        begun = None if wanted else begin(context, asked, done, age)
        from dataguard.actions.audit import audit as action  # Arrow: workers read meanwhile

        result = action(
            context,
            asked,
            level=done,
            max_age=age,
            part=wanted,
            dry_run=dry_run,
            begun=begun,
        )
    objects = any(is_objects(one.location) for one in result.versions)
    result = replace(result, level_note=result.level.note_on(level, objects=objects))
    invocation.show(result)
    if report is not None:
        invocation.write_report(result, report)
    if result.damaged:
        raise CatalogDamagedError(
            "; ".join(result.damaged), hint="restore `manifests` and `sheets` from a backup"
        )
    return invocation.outcome(result.findings, unchecked=not result.complete)


def _batch_job(
    invocation: Invocation, references: tuple[str, ...], how: tuple[str, str, str], *, dry_run: bool
) -> int:
    from dataguard.actions.batchjob import describe_job
    from dataguard.model.batchjob import BatchRequest

    if len(references) != 1:
        raise UsageError(
            "a job is for one version", hint="dataguard audit REF --level 3 --batch-job DIR"
        )
    request = BatchRequest(*how)
    invocation.show(describe_job(invocation.context(), references[0], request, dry_run=dry_run))
    return 0
