"""Lines for what was mounted and unmounted."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from dataguard.core.paths import escape
from dataguard.model.results.mount import MountReport, MountResult
from dataguard.model.results.unmount import UnmountResult
from dataguard.report.lines import Paint, finding_lines, lines_of, place

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__: list[str] = []


@lines_of.register(MountReport)
def _(result: MountReport, paint: Paint, verbose: int) -> Iterator[str]:
    if not result.mounts:
        yield "nothing is declared in this workspace"
    for one in result.mounts:
        yield from lines_of(one, paint, verbose)
    if result.dry_run:
        yield "nothing was changed"


@lines_of.register(MountResult)
def _(result: MountResult, paint: Paint, verbose: int) -> Iterator[str]:
    name = f"{result.dataset}@{result.version} at {place(result.target)}"
    if result.findings:
        yield paint("bad", f"not mounted: {name}")
    else:
        verb = "mounted" if result.created else f"{result.step}:"
        yield paint("good", f"{verb} {name}")
    yield f"  root      {result.root}"
    yield f"  backend   {result.backend}"
    yield f"  guarantee {result.guarantee}: {result.sentence}"
    if result.weaker_because:
        yield "  " + paint("warn", f"not stronger, because {escape(result.weaker_because)}")
    if result.pinned is False:
        yield "  " + paint(
            "warn", "unpinned: what is overwritten in the bucket cannot be read again"
        )
    counts = Counter(str(step.result) for step in result.probe)
    if counts:
        yield f"  probe     {', '.join(f'{n} {word}' for word, n in counts.items())}"
    if verbose:
        for step in result.probe:
            yield f"    {step.operation:<24} {step.result:<8} {escape(step.detail)}"
    yield from finding_lines(result.findings, paint, verbose)


@lines_of.register(UnmountResult)
def _(result: UnmountResult, paint: Paint, verbose: int) -> Iterator[str]:
    del verbose
    verb = "would unmount" if result.dry_run else "unmounted"
    yield paint("good", f"{verb} {result.dataset}@{result.version}") + (
        f" from {place(result.target)}"
    )
    if result.left:
        yield "  " + paint("warn", escape(result.left))
