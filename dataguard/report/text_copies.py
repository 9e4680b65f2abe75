"""Lines for redundant copies: what was found, what it costs, what was left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.core.paths import display, escape
from dataguard.model.copies import CopiesHistory, CopiesResult, CopyKind
from dataguard.report.lines import (
    SHOWN,
    Paint,
    columns,
    gap_lines,
    lines_of,
    more,
    number,
    size_words,
    time_words,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dataguard.model.copies import Copy, CopyGroup, FolderCopy, ListedPath

__all__: list[str] = []

_NAMED = 3


@lines_of.register(CopiesResult)
def _(result: CopiesResult, paint: Paint, verbose: int) -> Iterator[str]:
    limit = None if verbose else SHOWN
    yield _summary(result, paint)
    for folder in result.folders[:limit]:
        yield from _folder(folder, paint)
    yield from more(len(result.folders), limit)
    # What a folder says need not be said of each file in it.
    inside = () if verbose else tuple(one.path + b"/" for one in result.folders)
    rest = [one for one in result.copies if not one.path.startswith(inside)]
    rest.sort(key=lambda one: (-one.reclaimable, one.path))
    for copy in rest[:limit]:
        yield _copy(copy, paint)
    yield from more(len(rest), limit)
    for group in result.groups[:limit]:
        yield from _group(group, paint)
    yield from more(len(result.groups), limit)
    yield from _account(result)
    for skipped in result.skipped:
        yield paint("faint", f"skipped {display(skipped.path)}: {escape(skipped.reason)}")
    yield from gap_lines(result.unreadable, paint)
    if result.resumable:
        yield paint("warn", "the time was over before the end; --resume goes on from there")


@lines_of.register(CopiesHistory)
def _(result: CopiesHistory, paint: Paint, verbose: int) -> Iterator[str]:
    del verbose
    if not result.scans:
        yield paint("faint", "no scan yet")
    rows = [
        (
            time_words(one.finished),
            number(one.copies, "copy", "copies"),
            size_words(one.bytes),
            f"{size_words(one.reclaimable)} reclaimable",
            "" if one.complete else "incomplete",
            _paths(one.places, len(one.places)),
        )
        for one in result.scans
    ]
    yield from columns(rows)


def _summary(result: CopiesResult, paint: Paint) -> str:
    real = sum(one.kind is not CopyKind.LINK for one in result.copies)
    links = len(result.copies) - real
    words = number(real, "copy", "copies") + " of gold"
    cost = f", {size_words(result.bytes)}, {size_words(result.reclaimable)} reclaimable"
    if result.shared_among:
        cost += f" and {size_words(result.shared_among)} that copies share with one another"
    beside = f"; {number(links, 'link')} to gold" if links else ""
    into = f", {result.looked_into:,} looked into" if result.looked_into else ""
    looked = (
        f" ({number(result.scanned, 'file')} looked at, {result.candidates:,} of a wanted size, "
        f"{result.read:,} read{into})"
    )
    return paint("bad" if real else "good", words) + (cost if real else "") + beside + looked


def _folder(folder: FolderCopy, paint: Paint) -> Iterator[str]:
    of = f"{folder.dataset}@{folder.version}"
    if folder.prefix:
        of += " " + display(folder.prefix)
    part = "all" if folder.files == folder.gold_files else f"{_share(folder)} %"
    yield (
        paint("strong", f"folder {display(folder.path)}")
        + f" holds {part} of {of}: {folder.files:,} of {number(folder.gold_files, 'file')}, "
        f"{size_words(folder.reclaimable)} reclaimable"
    )
    parts = (
        ("differ", folder.differing, folder.differing_count),
        ("missing", folder.missing, folder.missing_count),
        ("extra", folder.extra, folder.extra_count),
    )
    for word, paths, count in parts:
        if count:
            yield f"  {count:,} {word}: {_paths(paths, count)}"


def _share(folder: FolderCopy) -> str:
    """Return the share of gold's files, never 100 while one is missing."""
    return f"{int(1000 * folder.files / folder.gold_files) / 10:g}"


def _copy(copy: Copy, paint: Paint) -> str:
    if copy.kind is CopyKind.LINK:
        head, cost = paint("faint", f"link ({copy.evidence.get('link', 'link')})"), ""
    else:
        code = "" if copy.code is None else copy.code.name
        head = paint("bad", f"{code} {copy.kind}")
        cost = f", {size_words(copy.reclaimable)} reclaimable"
    of = f"{copy.dataset}@{copy.version}" + (f" {display(copy.entry)}" if copy.entry else "")
    return f"{head} {display(copy.path)} = {of}{cost}"


def _group(group: CopyGroup, paint: Paint) -> Iterator[str]:
    yield (
        paint("warn", f"{group.count:,} files with the same content")
        + f", {size_words(group.size)} each, {size_words(group.reclaimable)} reclaimable; "
        "not in gold: registering it lets all use one"
    )
    yield f"  {_paths(group.paths, len(group.paths))}"


def _account(result: CopiesResult) -> Iterator[str]:
    rows = [
        (
            f"  {line.by}",
            escape(line.name) or "unknown",
            number(line.files, "copy", "copies"),
            size_words(line.bytes),
            f"{size_words(line.reclaimable)} reclaimable",
        )
        for line in result.account
    ]
    if rows:
        yield "account"
        yield from columns(rows)


def _paths(paths: Sequence[ListedPath], count: int) -> str:
    shown = ", ".join(display(one.path) for one in paths[:_NAMED])
    return f"{shown} ..." if count > _NAMED else shown
