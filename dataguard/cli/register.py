"""`dataguard register`."""

from typing import TYPE_CHECKING, Annotated

from dataguard.cli.command import command
from dataguard.cli.declared import argument, option
from dataguard.cli.invocation import Invocation
from dataguard.cli.options import DryRun, Scheduler
from dataguard.core.outcome import FINE, UNCHECKED, VIOLATED
from dataguard.errors import UsageError
from dataguard.model.digest import Algorithm

if TYPE_CHECKING:
    import typer

    from dataguard.actions.context import Context
    from dataguard.actions.registration import Request
    from dataguard.cli.plainwords import PlainApp
    from dataguard.model.objects import ObjectPlace
    from dataguard.model.policy import Seal
    from dataguard.model.results.register import RegisterResult

__all__ = ["add"]


def add(app: "typer.Typer | PlainApp") -> None:
    """Add the command to an app."""
    command(
        app,
        "register",
        examples=(
            "dataguard register vision/faces /data/faces",
            "dataguard register faces /data/faces --expect SHA256SUMS --also sha256",
            "dataguard register faces /data/faces --append --reason 'shards of May'",
            "dataguard register faces /mirror/faces --replica",
            "dataguard register faces /data/faces --seal immutable",
            "dataguard register faces /data/faces --chunks",
            "dataguard register faces s3://gold/faces --endpoint-url https://store.example.org",
        ),
        exit_codes=(0, 1, 2, 3, 4, 10, 11, 12, 13, 130, 143),
    )(register)


def register(
    invocation: Invocation,
    name: Annotated[str, argument(metavar="NAME", help="The dataset: vision/faces.")],
    location: Annotated[
        str, argument(metavar="LOCATION", help="Its directory, or s3://bucket/prefix.")
    ],
    digest: Annotated[
        str | None,
        option("--digest", metavar="ALGORITHM", help="Main digest: xxh3-128, blake3 or sha256."),
    ] = None,
    also: Annotated[
        list[str] | None,
        option("--also", metavar="ALGORITHM", help="An additional digest; repeatable."),
    ] = None,
    expect: Annotated[
        str | None,
        option(
            "--expect",
            metavar="FILE",
            help="Check sha256sum, md5sum, BagIt or DVC digests in the same read.",
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        option("--exclude", metavar="PATTERN", help="A gitignore pattern; repeatable."),
    ] = None,
    note: Annotated[
        str | None, option("--note", metavar="TEXT", help="A note on the version.")
    ] = None,
    owner: Annotated[
        str | None, option("--owner", metavar="WHO", help="Who answers for it.")
    ] = None,
    meta: Annotated[
        list[str] | None,
        option("--meta", metavar="KEY=VALUE", help="A fact to keep with it; repeatable."),
    ] = None,
    replica: Annotated[
        bool, option("--replica", help="Another location of the newest version.")
    ] = False,
    append: Annotated[
        bool, option("--append", help="Paths were only added; the old version stays.")
    ] = False,
    supersede: Annotated[
        bool, option("--supersede", help="The content was replaced on purpose.")
    ] = False,
    reason: Annotated[
        str | None,
        option("--reason", metavar="TEXT", help="Why; for --append and --supersede."),
    ] = None,
    seal: Annotated[
        str,
        option("--seal", metavar="KIND", help="none, mode or immutable: seal what was recorded."),
    ] = "none",
    chunks: Annotated[
        bool,
        option("--chunks", help="Also keep what parts of files of 1 MiB or more are known by."),
    ] = False,
    rehash: Annotated[
        bool, option("--rehash", help="Read every file, also unchanged ones.")
    ] = False,
    endpoint_url: Annotated[
        str | None,
        option("--endpoint-url", metavar="URL", help="The object server of an s3:// place."),
    ] = None,
    profile: Annotated[
        str | None,
        option("--profile", metavar="NAME", help="A profile of AWS's own files."),
    ] = None,
    anonymous: Annotated[
        bool, option("--anonymous", help="Ask the object server without credentials.")
    ] = False,
    requester_pays: Annotated[
        bool, option("--requester-pays", help="Bear the costs of reading the bucket.")
    ] = False,
    engine: Annotated[
        str | None, option("--engine", metavar="NAME", help="auto, serial, local or dask.")
    ] = None,
    scheduler: Scheduler = None,
    workers: Annotated[
        str | None, option("--workers", metavar="N", help="auto, or a number of processes.")
    ] = None,
    dry_run: DryRun = False,
) -> int:
    """Hash a source in place and record it as the next version of a dataset.

    Nothing at the source is changed, moved or copied; only --seal sets flags or permissions. The
    same content again makes no new version and reads only what changed since; what was
    interrupted goes on with the same command. Changed content at the location of an active
    version is refused with the differences, unless --append or --supersede says that it is meant.
    """
    from dataguard.actions.footprint import own_places
    from dataguard.actions.places import source_place
    from dataguard.actions.registration import Request
    from dataguard.cli.opening import temporary_places

    invocation.flag("engine", engine)
    invocation.flag("scheduler", scheduler)
    invocation.flag("workers", workers)
    main = None if digest is None else _algorithm(digest)
    others = tuple(_algorithm(one) for one in also or ())
    expectation = _expectation(expect)
    facts = dict(_fact(text) for text in meta or ())
    kind = _kind(seal)
    # Before the home is made: it may have been asked for inside the source.
    settings = invocation.settings()
    own = own_places(settings, temporary_places())
    source_place(location, home=settings.home.value, own=own)
    context = invocation.context(reads=True)
    request = Request(
        name=name,
        location=location,
        digest=main,
        also=others,
        expect=expectation,
        expect_name=expect,
        exclude=tuple(exclude or ()),
        note=note,
        owner=owner,
        metadata=facts,
        replica=replica,
        append=append,
        supersede=supersede,
        reason=reason,
        rehash=rehash,
        dry_run=dry_run,
        chunks=chunks,
        objects=_objects(endpoint_url, profile, anonymous=anonymous, pays=requester_pays),
    )
    result = _registered(context, request, kind)
    invocation.show(result)
    if result.seal is not None and result.seal.refused:
        return UNCHECKED if result.seal.unreadable else VIOLATED
    if result.unreadable or (result.chunks is not None and result.chunks.unreadable):
        return UNCHECKED
    return VIOLATED if result.refused else FINE


def _registered(context: "Context", request: "Request", kind: "Seal") -> "RegisterResult":
    from dataguard.actions.registration import begin, prepare
    from dataguard.model.policy import Seal

    if kind is Seal.NONE:
        task = begin(context, prepare(context, request))
        from dataguard.actions.register import carry_out  # Arrow: workers read meanwhile

        return carry_out(context, task)
    from dataguard.actions.registersealed import register_sealed

    return register_sealed(context, request, kind)


def _objects(
    endpoint: str | None, profile: str | None, *, anonymous: bool, pays: bool
) -> "ObjectPlace | None":
    if not (endpoint or profile or anonymous or pays):
        return None
    from dataguard.model.objects import ObjectPlace

    return ObjectPlace(endpoint or "", "", profile or "", anonymous, pays)


def _kind(text: str) -> "Seal":
    from dataguard.model.policy import Seal

    try:
        return Seal(text)
    except ValueError as err:
        raise UsageError(f"no seal `{text}`", hint="--seal immutable, mode or none") from err


def _algorithm(text: str) -> Algorithm:
    try:
        return Algorithm(text)
    except ValueError as err:
        raise UsageError(f"no digest `{text}`", hint="xxh3-128, blake3 or sha256") from err


def _expectation(path: str | None):  # type: ignore[no-untyped-def]  # noqa: ANN202
    if path is None:
        return None
    from dataguard.stores.expected import load_expectation

    return load_expectation(path)


def _fact(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise UsageError(f"`{text}` is no KEY=VALUE", hint="--meta license=CC-BY-4.0")
    return key, value
