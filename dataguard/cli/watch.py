"""`dataguard watch`."""

import contextlib
import os
import signal
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from dataguard.cli.command import command
from dataguard.cli.invocation import Invocation
from dataguard.cli.options import Format
from dataguard.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import timedelta
    from types import FrameType

    from dataguard.actions.watch import Request
    from dataguard.actions.watchtelling import Outlets
    from dataguard.model.alert import Alert
    from dataguard.model.finding import Finding
    from dataguard.watchers.interface import Watcher

__all__ = ["add"]


class Source(StrEnum):
    """Where events may come from; the model's words, without loading it for help."""

    AUTO = "auto"
    FANOTIFY = "fanotify"
    INOTIFY = "inotify"
    POLLING = "polling"


class Attribution(StrEnum):
    """Who is asked who wrote."""

    EVENTS = "events"
    AUDIT = "audit"


class Emit(StrEnum):
    """Whom configuration can be printed for."""

    SYSTEMD = "systemd"


def add(app: typer.Typer) -> None:
    """Add the command to an app."""
    command(
        app,
        "watch",
        examples=(
            "dataguard watch",
            "dataguard watch faces --format jsonl",
            "dataguard watch --view",
            "dataguard watch --events sqs:https://sqs.eu-central-1.amazonaws.com/1234/gold",
            "dataguard watch --once",
            "dataguard watch --explain",
            "dataguard watch --emit systemd > /etc/systemd/system/dataguard-watch.service",
        ),
        exit_codes=(0, 1, 2, 3, 4, 10, 11, 12, 13, 130, 143),
        meanings={
            3: "with --once: findings of severity error or worse",
            4: "with --once or --explain: something cannot be checked or watched",
            130: "ended by SIGINT, with all that was seen reported",
            143: "ended by SIGTERM, with all that was seen reported",
        },
    )(watch)


def watch(
    invocation: Invocation,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Datasets; default: all that are on this host."),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Compare everything once, report, and end.")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show what would be seen, and what not, and end.")
    ] = False,
    source: Annotated[
        Source, typer.Option("--source", help="Where events come from.")
    ] = Source.AUTO,
    attribution: Annotated[
        Attribution,
        typer.Option(
            "--attribution",
            help="Who wrote: by the events alone, or also by the kernel's audit, which knows "
            "programs that live for a moment; each write costs more then.",
        ),
    ] = Attribution.EVENTS,
    interval: Annotated[
        str | None,
        typer.Option(
            "--interval",
            metavar="15m",
            help="How often everything is compared anyway: 15m, buckets as the policy says.",
        ),
    ] = None,
    events: Annotated[
        list[str] | None,
        typer.Option(
            "--events",
            metavar="WHERE",
            help="Events of buckets: sqs:URL of a queue, or listen:HOST:PORT. Repeatable.",
        ),
    ] = None,
    metrics_file: Annotated[
        str | None,
        typer.Option("--metrics-file", metavar="FILE", help="Write metrics for Prometheus to it."),
    ] = None,
    view: Annotated[
        bool, typer.Option("--view", help="Show its state on the terminal, painted anew.")
    ] = False,
    emit: Annotated[
        Emit | None,
        typer.Option("--emit", metavar="FORM", help="Print the unit that runs it: systemd."),
    ] = None,
) -> int:
    """Report writes into gold as they happen: what changed, and who did it.

    What happened while nobody watched is found at the start, and so is what a source could not
    see: each such gap is reported, and everything compared. Copies of gold are told as they are
    made in workspaces, outputs places, and output and scratch areas of the policy. Ends with
    SIGTERM or SIGINT. With --format jsonl each finding is a line, written at once; text and sinks
    have one alert for many findings of one kind in one directory.
    """
    from dataguard.model.duration import parse_duration

    every = None if interval is None else parse_duration(interval)
    asked = tuple(names or ())
    if sum((once, explain, emit is not None)) > 1:
        raise UsageError("--once, --explain and --emit are three questions", hint="ask for one")
    lasting = not (once or explain or emit is not None)
    if lasting and invocation.format is Format.JSON:
        raise UsageError("a watcher that goes on is no object", hint="use --format jsonl")
    if view and not (lasting and invocation.format is Format.TEXT and sys.stdout.isatty()):
        raise UsageError("--view needs a terminal, and shows text", hint="dataguard watch --view")
    if emit is not None:
        return _emit(invocation, asked, source, attribution, interval, metrics_file, events or [])
    if metrics_file is not None:
        metrics_file = os.path.abspath(metrics_file)
        invocation.check_report(metrics_file)
    if explain:
        return _explain(invocation, asked, source, events or [])
    if once:
        return _once(invocation, asked, metrics_file)
    with _outlets(invocation, silent=False, view=view) as outlets:
        request = _request(asked, outlets, metrics_file)
        return _watch(invocation, source, attribution, every, request, events or [])


def _once(invocation: Invocation, names: tuple[str, ...], metrics_file: str | None) -> int:
    context = invocation.context(reads=True)
    from dataguard.actions.watch import once as action

    with _outlets(invocation, silent=True) as outlets:
        result = action(context, _request(names, outlets, metrics_file))
    invocation.show(result)
    return invocation.outcome(result.findings, unchecked=not result.complete)


def _explain(
    invocation: Invocation, names: tuple[str, ...], source: Source, events: list[str]
) -> int:
    from dataguard.actions.watch import explain as action

    context = invocation.context()
    result = action(context, names, _watchers(source, events), _area_watchers(source))
    invocation.show(result)
    return invocation.outcome((), unchecked=not result.complete)


def _watch(
    invocation: Invocation,
    source: Source,
    attribution: Attribution,
    every: "timedelta | None",
    request: "Request",
    events: list[str],
) -> int:
    context = invocation.context()
    from dataguard.actions.watch import watch as action

    ended: list[int] = []

    def end(number: int, _frame: "FrameType | None") -> None:
        ended.append(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end)
    action(
        context,
        request,
        new_watcher=_watchers(source, events),
        interval=every,
        is_over=lambda: bool(ended),
        environ=os.environ,
        new_area_watcher=_area_watchers(source),
        with_audit=attribution is Attribution.AUDIT,
    )
    return 128 + ended[0] if ended else 0


def _emit(
    invocation: Invocation,
    names: tuple[str, ...],
    source: Source,
    attribution: Attribution,
    interval: str | None,
    metrics_file: str | None,
    events: list[str],
) -> int:
    from dataguard.actions.watchunit import unit

    options = [*names]
    if source is not Source.AUTO:
        options += ["--source", source.value]
    if attribution is not Attribution.EVENTS:
        options += ["--attribution", attribution.value]
    if interval is not None:
        options += ["--interval", interval]
    options += [word for one in events for word in ("--events", one)]
    if metrics_file is not None:
        options += ["--metrics-file", os.path.abspath(metrics_file)]
    invocation.show(unit(invocation.context(), tuple(options), sys.argv[0]))
    return 0


def _watchers(source: Source, events: list[str]) -> "Callable[[], Watcher]":
    from dataguard.cli.clock import utc_now
    from dataguard.watchers.choose import watcher

    hub = None
    if events:
        from dataguard.watchers.eventhub import EventHub, event_sources

        hub = EventHub(event_sources(events, os.environ))
    return lambda: watcher(source.value, clock=utc_now, hub=hub)


def _area_watchers(source: Source) -> "Callable[[], Watcher]":
    from dataguard.cli.clock import utc_now
    from dataguard.watchers.choose import area_watcher

    return lambda: area_watcher(source.value, clock=utc_now)


def _request(names: tuple[str, ...], outlets: "Outlets", metrics_file: str | None) -> "Request":
    import time

    from dataguard.actions.watch import Request

    return Request(names, outlets, time.monotonic, metrics_file)


@contextlib.contextmanager
def _outlets(invocation: Invocation, *, silent: bool, view: bool = False) -> "Iterator[Outlets]":
    """Yield where a watcher's words go: lines of JSON, of text, or a view of the terminal."""
    from dataguard.actions.watchtelling import Outlets

    def findings(found: "Sequence[Finding]") -> None:
        if not silent and invocation.format is Format.JSONL:
            invocation.show_lines(found)

    def alerts(gathered: "Sequence[Alert]") -> None:
        if not silent and invocation.format is Format.TEXT:
            for one in gathered:
                invocation.show(one)

    if not view:
        yield Outlets(findings, alerts, invocation.say)
        return
    from dataguard.cli.watchview import shown

    with shown(color=invocation.colored(sys.stdout)) as outlets:
        yield outlets
