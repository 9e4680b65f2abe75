"""Lines for the node cache: what it holds, what went, what was damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.core.paths import escape
from dataguard.model.results.cache import CachePruned, CacheShare, CacheShown, CacheVerified
from dataguard.report.lines import (
    SHOWN,
    Paint,
    lines_of,
    more,
    number,
    place,
    size_words,
    time_words,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.model.results.cache import CachePinned

__all__: list[str] = []


@lines_of.register(CacheShown)
def _(result: CacheShown, paint: Paint, verbose: int) -> Iterator[str]:
    held = f"{number(result.files, 'object')}, {size_words(result.bytes)}"
    yield f"{paint('strong', place(result.place))}: {held}"
    yield (
        f"  over {size_words(result.high)} it is brought down to {size_words(result.low)}; "
        f"{size_words(result.available)} free on {result.filesystem}"
    )
    for share in result.caches:
        yield from _share(share, paint, verbose)
    yield from _closed(result.closed)


@lines_of.register(CachePruned)
def _(result: CachePruned, paint: Paint, verbose: int) -> Iterator[str]:
    del verbose
    verb = "would remove" if result.dry_run else "removed"
    gone = f"{number(result.removed_files, 'object')}, {size_words(result.removed_bytes)}"
    parts = f", {number(result.removed_parts, 'left part')}" if result.removed_parts else ""
    yield paint("good", f"{verb} {gone}{parts}")
    there = "are there" if result.dry_run else "stay"
    yield f"  {number(result.files, 'object')}, {size_words(result.bytes)} {there}"
    yield from _closed(result.closed)


@lines_of.register(CacheVerified)
def _(result: CacheVerified, paint: Paint, verbose: int) -> Iterator[str]:
    read = f"{number(result.checked_files, 'object')}, {size_words(result.checked_bytes)} read"
    verdict = paint("bad", "DAMAGED") if result.damaged else paint("good", "fine")
    yield f"{verdict}: {read}{'' if result.complete else '; not all of it'}"
    fate = "damaged" if result.dry_run else "removed"
    limit = None if verbose else SHOWN
    for word, style, found in (
        (fate, "bad", result.damaged),
        ("not read", "warn", result.unreadable),
    ):
        for one in found[:limit]:
            yield f"  {paint(style, word)} {place(one.path)}: {escape(one.message)}"
        yield from more(len(found), limit)
    yield from _closed(result.closed)


def _share(share: CacheShare, paint: Paint, verbose: int) -> Iterator[str]:
    whose = "everybody" if share.group is None else f"group {share.group}"
    yield f"  of {whose}: {number(share.files, 'object')}, {size_words(share.bytes)}"
    if share.growing:
        yield f"    on the way: {share.growing}, {size_words(share.growing_bytes)}"
    limit = None if verbose else SHOWN
    yield from (f"    {_pin(one)}" for one in share.pins[:limit])
    yield from more(len(share.pins), limit)
    for one in share.incidents:
        said = f"{time_words(one.time)} {one.object}: {one.what}"
        yield f"    {paint('warn', escape(said))}"


def _pin(pin: CachePinned) -> str:
    by = f"process {pin.process} on {escape(pin.host)}, since {time_words(pin.since)}"
    over = "" if pin.holds else "; it is over"
    return f"{number(pin.objects, 'object')} for {escape(pin.subject)}: {by}{over}"


def _closed(closed: tuple[str, ...]) -> Iterator[str]:
    for one in closed:
        yield f"  not looked into: {place(one)}, of a group that you are not in"
