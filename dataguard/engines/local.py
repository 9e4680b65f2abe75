"""The engine that uses this machine's cores: a pool of worker processes.

Workers inherit neither threads nor locks of Arrow and load only what the task needs (see
`engines/process.py`). Each has the next unit waiting in its pipe while it works on one, so that it
is never idle because the caller is busy.
"""

from __future__ import annotations

import itertools
from collections import deque
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from dataguard.engines.capacity import cores
from dataguard.engines.pool import Job, Pool
from dataguard.engines.process import may_fork
from dataguard.engines.serial import SerialEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["LocalEngine"]

Unit = TypeVar("Unit")
Result = TypeVar("Result")

_LOOK_AHEAD = 16
"""Units in flight or waiting to be fetched, for each worker."""


class LocalEngine:
    """Worker processes on this machine, as many as asked for, else as it has cores."""

    name = "local"

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or cores()
        self._pool: Pool | None = None

    def start(self) -> None:
        """Start the workers if they can be forked; else the first units show whether it pays."""
        if self._pool is None and self.workers > 1 and may_fork():
            self._pool = Pool(self.workers)

    def map(
        self,
        task: Callable[[Unit], Result],
        units: Iterable[Unit],
        more: Callable[[Unit, Result], Iterable[Unit]] | None = None,
    ) -> Iterator[tuple[Unit, Result]]:
        """Yield each unit with `task(unit)`, and what it left over.

        Raises:
            DataguardError: one unit ended three worker processes.
        """
        rest = iter(units)
        # Starting workers costs more than a small tree: the first unit shows whether there is more.
        first = list(itertools.islice(rest, 2))
        if self._pool is not None or len(first) > 1:
            yield from self._spread(task, itertools.chain(first, rest), more)
            return
        for unit in first:
            result = task(unit)
            yield unit, result
            yield from self.map(task, more(unit, result) if more is not None else ())

    def close(self) -> None:
        """End the worker processes."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def _spread(
        self,
        task: Callable[[Unit], Result],
        units: Iterable[Unit],
        more: Callable[[Unit, Result], Iterable[Unit]] | None,
    ) -> Iterator[tuple[Unit, Result]]:
        if self._pool is None and self.workers > 1:
            self._pool = Pool(self.workers)
        if self._pool is None:  # one worker: this process
            yield from SerialEngine().map(task, units, more)
        else:
            yield from _InOrder(self._pool, task, more).results(units)


class _Pending(NamedTuple, Generic[Unit, Result]):
    """A unit that was given out, and what it turns out to leave over."""

    unit: Unit
    job: Job[Result]
    left: list[_Pending[Unit, Result]]


class _InOrder(Generic[Unit, Result]):
    """Gives out units a bounded number ahead and yields their results in their order."""

    def __init__(
        self,
        pool: Pool,
        task: Callable[[Unit], Result],
        more: Callable[[Unit, Result], Iterable[Unit]] | None,
    ) -> None:
        self._pool = pool
        self._task = task
        self._more = more
        self._pending: deque[_Pending[Unit, Result]] = deque()

    def results(self, units: Iterable[Unit]) -> Iterator[tuple[Unit, Result]]:
        try:
            for order, unit in enumerate(units):
                self._pending.append(self._given_out(unit, order))
                if len(self._pending) >= self._pool.size * _LOOK_AHEAD:
                    yield from self._next()
            while self._pending:
                yield from self._next()
        finally:
            for one in self._pending:
                for given in (one, *one.left):
                    given.job.cancel()

    def _next(self) -> Iterator[tuple[Unit, Result]]:
        """Yield the oldest unit; while it is taken, it stays pending to be cancelled."""
        oldest = self._pending[0]
        yield oldest.unit, oldest.job.result()
        for one in oldest.left:
            yield one.unit, one.job.result()
        self._pending.popleft()

    def _given_out(self, unit: Unit, order: int) -> _Pending[Unit, Result]:
        """Give out a unit; what it leaves over is more urgent than the units after it."""
        left: list[_Pending[Unit, Result]] = []
        more = self._more

        def give_out_more(result: Result) -> None:
            # Runs before the job is done, so that whoever has its result sees all of `left`.
            rest = more(unit, result) if more is not None else ()
            for one in rest:
                job = self._pool.submit(self._task, one, order=order)
                left.append(_Pending(one, job, []))

        job = self._pool.submit(self._task, unit, give_out_more, order=order)
        return _Pending(unit, job, left)
