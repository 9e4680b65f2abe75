"""`dataguard copies`."""

from typing import Annotated

import typer

from dataguard.cli.command import command
from dataguard.cli.invocation import Invocation
from dataguard.cli.options import DryRun, Format
from dataguard.errors import UsageError
from dataguard.model.duration import parse_duration
from dataguard.model.reference import Reference
from dataguard.model.size import parse_size

__all__ = ["add"]


def add(app: typer.Typer) -> None:
    """Add the command to an app."""
    command(
        app,
        "copies",
        examples=(
            "dataguard copies /home /scratch",
            "dataguard copies /home --min-size 1M --max-duration 2h",
            "dataguard copies /home --max-duration 2h --resume",
            "dataguard copies --of eval/gsm8k@1 /data/training",
            "dataguard copies --from-list files.list",
            "dataguard copies /home --chunks --min-size 1M",
            "dataguard copies s3://scratch/alice",
            "dataguard copies --history",
        ),
        table=True,
        exit_codes=(0, 2, 3, 4, 10, 12, 13),
        meanings={
            0: "no copy of gold was found, and everything was looked at",
            3: "copies were found",
        },
    )(copies)


def copies(
    invocation: Invocation,
    places: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PLACE]...", help="Directories, files, or s3://bucket/prefix."),
    ] = None,
    min_size: Annotated[
        str,
        typer.Option("--min-size", metavar="S", help="Leave out smaller files: 4096, 64K, 1M."),
    ] = "1",
    only: Annotated[
        str | None,
        typer.Option(
            "--of", metavar="REF", help="Copies of this version only, in any state, and its rows."
        ),
    ] = None,
    max_duration: Annotated[
        str | None,
        typer.Option("--max-duration", metavar="2h", help="Stop after this time; see --resume."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where the time of the last scan was over.")
    ] = False,
    among: Annotated[
        bool,
        typer.Option("--among", help="Also files that repeat one another and are not in gold."),
    ] = False,
    partial: Annotated[
        bool,
        typer.Option("--partial", help="Also truncated files of 4 KiB or more, and appended ones."),
    ] = False,
    chunks: Annotated[
        bool,
        typer.Option("--chunks", help="And parts of 1 MiB or more, wherever in a file they are."),
    ] = False,
    archives: Annotated[
        bool, typer.Option("--archives", help="Also files inside zip and tar archives.")
    ] = False,
    tables: Annotated[
        bool, typer.Option("--tables", help="Also rows of tables, in any format and order.")
    ] = False,
    from_list: Annotated[
        str | None,
        typer.Option(
            "--from-list",
            metavar="FILE",
            help="Look at the files listed there, ended by NUL or newline; - is stdin.",
        ),
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option("--rate", metavar="S", help="Read so many bytes a second: 500K, 20M."),
    ] = None,
    idle: Annotated[
        bool, typer.Option("--idle", help="Read only while nobody else reads from the disk.")
    ] = False,
    workers: Annotated[
        str | None, typer.Option("--workers", metavar="N", help="auto, or a number of processes.")
    ] = None,
    show_history: Annotated[
        bool, typer.Option("--history", help="Show what earlier scans found.")
    ] = False,
    dry_run: DryRun = False,
) -> int:
    """Find copies of gold under any name, whole folders included, and what they cost.

    Only files of a size that occurs in gold are read, and none twice: the next scan opens those
    that are new or were changed. The location of every dataset, mounts of it and the home are
    left out. Hard links, symlinks and reflinks of the original cost nothing and are no findings.
    Empty files are no copies.
    """
    if invocation.format in {Format.CSV, Format.JSONL}:
        import dataguard.report.rows_copies  # noqa: F401  brings every kind of list

    if show_history:
        from dataguard.actions.copies import history

        invocation.show(history(invocation.context()))
        return 0
    asked = tuple(places or ())
    if not asked and from_list is None:
        raise UsageError("no place to look at", hint="dataguard copies DIRECTORY")
    if idle:
        from dataguard.engines.priority import read_when_idle

        read_when_idle()
    invocation.flag("workers", workers)
    size, most = parse_size(min_size), 0 if rate is None else _rate(rate)
    duration = None if max_duration is None else parse_duration(max_duration)
    version = None if only is None else Reference.parse(only)
    context = invocation.context(reads=True)
    from dataguard.actions.copybegin import Wish, begin
    from dataguard.stores.filelist import read_list

    listed = () if from_list is None else read_list(from_list)
    wish = Wish(
        min_size=size,
        only=version,
        max_duration=duration,
        resume=resume,
        among=among,
        partial=partial,
        chunks=chunks,
        archives=archives,
        tables=tables or version is not None,  # has a row leaked?
        rate=most,
        dry_run=dry_run,
    )
    begun = None if any("://" in place for place in asked) else begin(context, asked, listed, wish)
    from dataguard.actions.copies import copies as action  # Arrow: workers are at work meanwhile

    result = action(context, asked, listed, wish, begun)
    invocation.show(result)
    return invocation.outcome(result.findings, unchecked=not result.complete)


def _rate(text: str) -> int:
    from dataguard.stores.pace import Pace

    found = parse_size(text)
    if not found:
        raise UsageError("a rate of 0 reads nothing", hint="--rate 20M")
    try:
        Pace(found).close()
    except OSError as err:
        raise UsageError(f"no --rate here: {err}", hint="--idle, or ionice") from err
    return found
