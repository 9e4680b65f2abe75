"""Lines for workspaces, and for what other systems are told of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.core.paths import escape
from dataguard.model.emit import EmitReport
from dataguard.model.workspace import InitResult, WorkspaceRecord, WorkspaceView
from dataguard.report.lines import Paint, lines_of, place, time_words

if TYPE_CHECKING:
    from collections.abc import Iterator

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


@lines_of.register(EmitReport)
def _(result: EmitReport, paint: Paint, verbose: int) -> Iterator[str]:
    """Nothing but the configuration: no path in it has a control character."""
    del paint, verbose
    yield from result.text.removesuffix("\n").split("\n")


def _mounted(view: MountView, paint: Paint) -> str:
    record = view.record
    status = paint("good" if view.status.value in _GOOD_STATES else "bad", str(view.status))
    what = f"{record.dataset}@{record.version}"
    return f"  mount     {place(record.target)} {what} {record.backend}, {status}"
