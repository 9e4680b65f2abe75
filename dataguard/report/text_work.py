"""Lines for runs and lineage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.core.paths import display, escape
from dataguard.model.attempt import Observable
from dataguard.model.confinement import Step
from dataguard.model.diversion import DivertedKind
from dataguard.model.results.lineage import LineageResult
from dataguard.model.results.run import RunResult
from dataguard.report.lines import (
    Paint,
    columns,
    finding_lines,
    gap_lines,
    lines_of,
    number,
    place,
    size_words,
    time_words,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.model.attempt import Attempts
    from dataguard.model.confinement import Confinement
    from dataguard.model.diversion import Diverted
    from dataguard.model.run import Run

__all__: list[str] = []


@lines_of.register(RunResult)
def _(result: RunResult, paint: Paint, verbose: int) -> Iterator[str]:
    if result.state == "explained":
        yield paint("strong", "a job would be " + ("started" if result.allowed else "refused"))
    elif not result.allowed:
        yield paint("bad", "run not started")
    else:
        style = "good" if result.state == "complete" else "bad"
        yield paint(style, f"run {result.run} {result.state}") + (
            f", exit code {result.exit_code}, {number(len(result.outputs), 'output')} in "
            f"{place(result.outputs_directory or '')}"
        )
    if result.confinement is not None:
        yield from _confined(result.confinement, paint, all_layers=result.state == "explained")
    if result.attempts is not None:
        yield from _refused(result.attempts, paint)
    for one in result.inputs:
        yield f"  input  {one.dataset}@{one.version} before: {one.before}, after: {one.after}"
    if verbose:
        for output in result.outputs:
            yield f"  output {display(output.path)} {size_words(output.size)} {output.digest}"
    yield from _led_away(result.diverted, paint, verbose)
    yield from finding_lines(result.findings, paint, verbose)
    yield from gap_lines(result.unreadable, paint)


@lines_of.register(LineageResult)
def _(result: LineageResult, paint: Paint, verbose: int) -> Iterator[str]:
    del verbose
    yield paint("strong", place(result.subject))
    if not result.runs:
        yield "  no run has read it"
    for run in result.runs:
        yield from _run(run)
    if result.output is not None:
        words = {True: "unchanged since", False: "CHANGED since", None: "not checked"}
        yield f"  this file {words[result.unchanged]}: {result.output.digest}"


def _led_away(diverted: tuple[Diverted, ...], paint: Paint, verbose: int) -> Iterator[str]:
    """List changes of gold and what was in the way; new files one by one where that is asked."""
    new = [one for one in diverted if one.kind is DivertedKind.NEW]
    if new and not verbose:
        noun = number(len(new), "new entry", "new entries")
        yield f"  diverted {noun} beside the inputs' own, in the outputs"
    for one in diverted:
        name = paint("warn", f"diverted {display(one.path)}")
        if one.kind is DivertedKind.RECORD:
            yield f"  {name} was in the way"
        elif verbose or one.kind is not DivertedKind.NEW:
            said = f"{one.kind}, {one.detail}" if one.detail else str(one.kind)
            yield f"  {name} {said}"


def _confined(confinement: Confinement, paint: Paint, *, all_layers: bool) -> Iterator[str]:
    """Say what holds; what does not is always said, with its reason."""
    strong = confinement.step is Step.FULL
    said = f"{confinement.mode}: {confinement.guarantee}"
    if all_layers or not strong:
        yield f"  {paint('good' if strong else 'warn', said)}"
    for layer in confinement.layers:
        if all_layers or not layer.holds:
            word = paint("good", "holds   ") if layer.holds else paint("warn", "MISSING ")
            yield f"  {word} {layer.name}: {escape(layer.detail)}"
    for reason in confinement.weaker_because:
        yield "  " + paint("warn", f"not stronger, because {escape(reason)}")


def _refused(attempts: Attempts, paint: Paint) -> Iterator[str]:
    if attempts.observable is Observable.NO:
        yield f"  attempts: not observable ({escape(attempts.reason)})"
        return
    lost = "records lost" if attempts.lost is None else f"{attempts.lost} lost"
    said = f"attempts: {attempts.seen} seen" + (f", {lost}" if attempts.lost != 0 else "")
    sources = ", ".join(dict.fromkeys(one.name for one in attempts.sources))
    yield (
        "  "
        + (said if attempts.lost == 0 else paint("warn", said))
        + (f" ({sources}: {escape(attempts.reason)})")
    )


def _run(run: Run) -> Iterator[str]:
    who = f"{escape(run.actor.user)} on {run.actor.host}"
    code = "" if run.exit_code is None else f", exit code {run.exit_code}"
    yield f"  run {run.id} {run.state} by {who}, {time_words(run.started)}{code}"
    yield "    command  " + " ".join(place(word) for word in run.command)
    yield from columns(
        [("    input  ", f"{one.dataset}@{one.version}", one.root) for one in run.inputs]
    )
    yield f"    outputs  {place(run.outputs)}"
