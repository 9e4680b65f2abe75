"""Lines for work with datasets: workspaces, mounts, gates, runs, lineage."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from dataguard.core.paths import display, escape
from dataguard.model.attempt import Observable
from dataguard.model.confinement import Step
from dataguard.model.emit import EmitReport
from dataguard.model.gate import GateResult
from dataguard.model.mount import MountReport, MountResult, UnmountResult
from dataguard.model.results import LineageResult, RunResult
from dataguard.model.workspace import InitResult, WorkspaceRecord, WorkspaceView
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
    from dataguard.model.gate import Check
    from dataguard.model.run import Run
    from dataguard.model.workspace import MountView

__all__: list[str] = []

_GOOD_STATES = ("live", "declared", "link")


@lines_of.register(InitResult)
def _(result: InitResult, paint: Paint, verbose: int) -> Iterator[str]:
    del verbose
    verb = "would make" if result.dry_run else "made"
    words = f"{verb} the workspace" if result.created else "this is a workspace already:"
    yield paint("good", f"{words} {place(result.record.directory)}")
    yield f"  outputs   {place(result.record.outputs)}"


@lines_of.register(WorkspaceView)
def _(result: WorkspaceView, paint: Paint, verbose: int) -> Iterator[str]:
    del verbose
    workspace = result.workspace
    unknown = "" if result.known else paint("warn", " (not in the catalog; `dataguard mount`)")
    yield paint("strong", place(workspace.directory)) + unknown
    yield f"  outputs   {place(workspace.outputs)}"
    if workspace.policy is not None:
        yield f"  policy    {place(workspace.policy)}"
    for name, reference in workspace.datasets.items():
        entry = workspace.lock.get(name)
        locked = "not locked" if entry is None else f"{entry.dataset}@{entry.version} {entry.root}"
        yield f"  dataset   {name} = {reference} ({locked})"
    yield from (_mounted(view, paint) for view in result.mounts)


@lines_of.register(WorkspaceRecord)
def _(result: WorkspaceRecord, paint: Paint, verbose: int) -> Iterator[str]:
    del verbose
    yield paint("strong", place(result.directory)) + f" on {result.host}"
    yield f"  outputs   {place(result.outputs)}"
    yield f"  made      {time_words(result.created)} by {escape(result.actor.user)}"


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
    counts = Counter(str(step.result) for step in result.probe)
    if counts:
        yield f"  probe     {', '.join(f'{n} {word}' for word, n in counts.items())}"
    if verbose:
        for step in result.probe:
            yield f"    {step.operation:<24} {step.result:<8} {escape(step.detail)}"
    yield from finding_lines(result.findings, paint, verbose)


@lines_of.register(EmitReport)
def _(result: EmitReport, paint: Paint, verbose: int) -> Iterator[str]:
    """Nothing but the configuration: no path in it has a control character."""
    del paint, verbose
    yield from result.text.removesuffix("\n").split("\n")


@lines_of.register(UnmountResult)
def _(result: UnmountResult, paint: Paint, verbose: int) -> Iterator[str]:
    del verbose
    verb = "would unmount" if result.dry_run else "unmounted"
    yield paint("good", f"{verb} {result.dataset}@{result.version}") + (
        f" from {place(result.target)}"
    )
    if result.left:
        yield "  " + paint("warn", escape(result.left))


@lines_of.register(GateResult)
def _(result: GateResult, paint: Paint, verbose: int) -> Iterator[str]:
    del verbose
    for check in result.checks:
        yield _checked(check, paint)
    verdict = paint("good", "allowed") if result.allowed else paint("bad", "refused")
    yield f"{verdict} by policy `{escape(result.policy)}`"


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
    for output in result.diverted:
        yield "  " + paint("warn", f"diverted {display(output.path)}") + " was in the way"
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


def _mounted(view: MountView, paint: Paint) -> str:
    record = view.record
    status = paint("good" if view.status.value in _GOOD_STATES else "bad", str(view.status))
    what = f"{record.dataset}@{record.version}"
    return f"  mount     {place(record.target)} {what} {record.backend}, {status}"


def _checked(check: Check, paint: Paint) -> str:
    word = paint("good", "ok     ") if check.ok else paint("bad", "REFUSED")
    subject = f" {place(check.subject)}" if check.subject else ""
    code = f" [{check.code.name}]" if check.code is not None and not check.ok else ""
    weak = "" if check.enforced else paint("warn", " (not enforced)")
    return f"{word} {check.name}{subject}: {escape(check.reason)}{code}{weak}"


def _run(run: Run) -> Iterator[str]:
    who = f"{escape(run.actor.user)} on {run.actor.host}"
    code = "" if run.exit_code is None else f", exit code {run.exit_code}"
    yield f"  run {run.id} {run.state} by {who}, {time_words(run.started)}{code}"
    yield "    command  " + " ".join(place(word) for word in run.command)
    yield from columns(
        [("    input  ", f"{one.dataset}@{one.version}", one.root) for one in run.inputs]
    )
    yield f"    outputs  {place(run.outputs)}"
