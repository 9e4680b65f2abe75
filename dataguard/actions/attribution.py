"""Who a writer is: the account's name, and the run that its process belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.model.run import RunState
from dataguard.sandbox.ancestry import ancestors, run_of, user_name

if TYPE_CHECKING:
    from dataguard.actions.context import Context
    from dataguard.model.watch import Writer

__all__ = ["Attribution"]

_REMEMBERED = 10_000


class Attribution:
    """Asks once for each process, at the first sight of it: it may be gone a moment later."""

    def __init__(self, ctx: Context) -> None:
        self._host = ctx.process.host
        self._known: dict[tuple[int | None, int | None, int | None], str | None] = {}
        self._names: dict[int | None, str | None] = {}
        self._runs: dict[int, str] = {}
        self.refresh(ctx)

    def refresh(self, ctx: Context) -> None:
        """Learn which runs are going on."""
        running = ctx.catalog.runs(state=RunState.RUNNING)
        self._runs = {run.process.pid: run.id for run in running if run.process.host == self._host}

    def of(self, writer: Writer | None) -> tuple[str | None, str | None]:
        """Return the name of the account and the id of the run, None where not known."""
        if writer is None:
            return None, None
        if writer.uid not in self._names:
            self._names[writer.uid] = user_name(writer.uid)
        key = writer.pid, writer.start_time, writer.uid
        if key not in self._known:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = self._run(writer)
        return self._names[writer.uid], self._known[key]

    def _run(self, writer: Writer) -> str | None:
        if writer.pid is None:
            return None
        said = run_of(writer.pid, writer.start_time)
        if said is not None or not self._runs or writer.start_time is None:
            return said
        return next((self._runs[pid] for pid in ancestors(writer.pid) if pid in self._runs), None)
