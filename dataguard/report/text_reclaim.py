"""Lines for space that copies give back."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from dataguard.core.paths import display, escape
from dataguard.model.reclaim import (
    Left,
    Method,
    ReclaimResult,
    ReclaimStep,
    Restored,
    UndoResult,
)
from dataguard.report.lines import SHOWN, Paint, gap_lines, lines_of, more, number, size_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__: list[str] = []

_WORDS = {Method.DEDUPE: "share blocks with", Method.LINK: "link to"}


@lines_of.register(ReclaimResult)
def _(result: ReclaimResult, paint: Paint, verbose: int) -> Iterator[str]:
    limit = None if verbose else SHOWN
    for step in result.steps[:limit]:
        yield _step(step, paint, applied=result.applied)
    yield from more(len(result.steps), limit)
    yield from _left(result.left, paint, verbose)
    yield from gap_lines(result.unreadable, paint)
    yield from _sum(result, paint)


@lines_of.register(UndoResult)
def _(result: UndoResult, paint: Paint, verbose: int) -> Iterator[str]:
    limit = None if verbose else SHOWN
    for one in result.restored[:limit]:
        verb = "brought back" if one.done else "would bring back"
        files = "" if one.files == 1 else f"{number(one.files, 'file')}, "
        yield f"{verb} {display(one.path)} ({files}{size_words(one.bytes)})"
    yield from more(len(result.restored), limit)
    yield from _left(result.left, paint, verbose)
    done = [one for one in result.restored if one.done]
    if result.restored and not done:
        size = sum(one.bytes for one in result.restored)
        files = number(_files(result.restored), "file")
        yield paint("strong", f"{files} would be brought back, {size_words(size)}")
        return
    yield paint(
        "strong", f"{number(_files(done), 'file')} brought back, {size_words(result.bytes)}"
    )


def _step(step: ReclaimStep, paint: Paint, *, applied: bool) -> str:
    target = step.target or step.original
    head = f"{display(step.path)}: {_WORDS[step.method]} {display(target)}"
    mark = paint("warn", "not done: ") if applied and not step.done else ""
    reference = f"{step.dataset}@{step.version}"
    folder = f"folder of {number(step.files, 'file')}, " if step.folder else ""
    return f"{mark}{head} ({reference}, {folder}{size_words(step.reclaimable)})"


def _files(found: Iterable[ReclaimStep | Restored]) -> int:
    return sum(one.files for one in found)


def _left(left: Sequence[Left], paint: Paint, verbose: int) -> Iterator[str]:
    """Yield what is left as it is, then how many for each reason."""
    limit = None if verbose else SHOWN
    for one in left[:limit]:
        detail = f" ({escape(one.detail)})" if one.detail else ""
        yield paint("warn", f"left {display(one.path)}") + f": {one.reason}{detail}"
    yield from more(len(left), limit)
    counts = Counter(str(one.reason) for one in left)
    if counts:
        yield "left: " + ", ".join(f"{counts[word]:,} {word}" for word in sorted(counts))


def _sum(result: ReclaimResult, paint: Paint) -> Iterator[str]:
    for one in result.unfinished:
        yield paint("warn", f"reclaim {one} was interrupted: the next --apply goes on")
    if result.applied:
        done = _files(step for step in result.steps if step.done)
        yield paint("good", f"gave back {size_words(result.reclaimed)} of {number(done, 'file')}")
        if any(one.done and one.method is Method.LINK for one in result.steps):
            yield f"bring files back that became links: dataguard reclaim --undo {result.id}"
        return
    if not result.steps:  # --apply or not
        yield paint("strong", "nothing to give back")
        return
    gain = size_words(result.reclaimable)
    yield paint("strong", f"would give back {gain} of {number(_files(result.steps), 'file')}")
    if any(step.folder for step in result.steps):
        yield "nothing can be added to a folder once it is a link: it is gold, and read-only"
    yield "nothing was changed; --apply does it"
