"""The engine that uses a cluster: a Dask scheduler by its address, or processes of this machine.

A task costs Dask some milliseconds, so units should be worth a multiple of that: `stores.shards`
makes them. Tasks are pure: one whose worker is lost is done again by another.
"""

from __future__ import annotations

import itertools
from collections import deque
from concurrent.futures import CancelledError  # the one that Dask raises
from contextlib import ExitStack
from dataclasses import field
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from dataguard import __version__
from dataguard.engines.capacity import cores
from dataguard.engines.dasktask import Answer, opened, perform, request
from dataguard.errors import DataguardError, StoreUnreachableError
from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["DaskEngine"]

Unit = TypeVar("Unit")
Result = TypeVar("Result")

_LOOK_AHEAD = 4
"""Units in flight or waiting to be fetched, for each thread of a worker."""

_LEAST_AHEAD = 8
"""Units given out however few workers there are: a cluster that grows with its work must see it."""

_RECOUNT = 64
"""Results after which the workers are counted again."""


class DaskEngine:
    """Workers of a Dask cluster: that of a scheduler, else a new one of as many as asked for.

    A scheduler without workers is waited for: those of a batch system may come later.
    """

    name = "dask"

    def __init__(self, scheduler: str = "", workers: int | None = None) -> None:
        self._scheduler = scheduler
        self.workers = workers or cores()
        self._stack = ExitStack()
        self._client: Any = None

    def start(self) -> None:
        """Connect to the scheduler, or start the processes.

        Raises:
            StoreUnreachableError: the scheduler does not answer.
        """
        if self._client is not None:
            return
        from dataguard.engines.cluster import connected, own_cluster  # noqa: PLC0415  loads Dask

        made = connected(self._scheduler) if self._scheduler else own_cluster(self.workers)
        self._client = self._stack.enter_context(made)

    def map(
        self,
        task: Callable[[Unit], Result],
        units: Iterable[Unit],
        more: Callable[[Unit, Result], Iterable[Unit]] | None = None,
    ) -> Iterator[tuple[Unit, Result]]:
        """Yield each unit with `task(unit)`, and what it left over.

        Raises:
            ConfigurationError: a worker has another dataguard.
            DataguardError: one unit ended several workers, or workers cannot run dataguard.
            StoreUnreachableError: the scheduler does not answer, or no more.
        """
        rest = iter(units)
        first = list(itertools.islice(rest, 1))
        if first:
            self.start()
            yield from _InOrder(self._client, task, more).results(itertools.chain(first, rest))

    def close(self) -> None:
        """Disconnect; end the processes if they are this engine's."""
        self._client = None
        self._stack.close()


@dataclass(slots=True, eq=False)
class _Pending(Generic[Unit]):
    """A unit that was given out, its answer once it is there, and what it left over."""

    unit: Unit
    future: Any
    asks_more: bool
    answer: Answer | None = None
    left: list[_Pending[Unit]] = field(default_factory=list)


class _InOrder(Generic[Unit, Result]):
    """Gives out units a bounded number ahead and yields their results in their order."""

    def __init__(
        self,
        client: Any,
        task: Callable[[Unit], Result],
        more: Callable[[Unit, Result], Iterable[Unit]] | None,
    ) -> None:
        self._client = client
        self._task = task
        self._more = more
        self._pending: deque[_Pending[Unit]] = deque()
        self._finished: SimpleQueue[_Pending[Unit]] = SimpleQueue()
        self._results = 0
        self._ahead = _LEAST_AHEAD

    def results(self, units: Iterable[Unit]) -> Iterator[tuple[Unit, Result]]:
        try:
            for unit in units:
                self._pending.append(self._given_out(unit, asks_more=self._more is not None))
                while len(self._pending) >= self._window():
                    yield from self._next()
            while self._pending:
                yield from self._next()
        finally:
            self._forget()

    def _window(self) -> int:
        """Return how many units may be given out; workers come and go."""
        if self._results % _RECOUNT == 0:
            threads = sum(self._client.nthreads().values())
            self._ahead = max(_LEAST_AHEAD, threads * _LOOK_AHEAD)
        return self._ahead

    def _next(self) -> Iterator[tuple[Unit, Result]]:
        """Yield the oldest unit; while it is taken, it stays pending to be cancelled."""
        oldest = self._pending[0]
        yield oldest.unit, self._result(oldest)
        for one in oldest.left:
            yield one.unit, self._result(one)
        self._pending.popleft()
        self._results += 1

    def _result(self, one: _Pending[Unit]) -> Result:
        while one.answer is None:
            self._settle(self._finished.get())
        fine, value = one.answer
        if not fine:
            raise cast("BaseException", value)
        one.answer = True, None  # it may be large, and is not asked for again
        return cast("Result", value)

    def _settle(self, one: _Pending[Unit]) -> None:
        """Take the answer of a unit that is done, and give out at once what it left over."""
        one.answer = answer = _answer_of(one.future)
        one.future.release()
        if one.asks_more and self._more is not None and answer[0]:
            rest = self._more(one.unit, cast("Result", answer[1]))
            one.left.extend(self._given_out(unit, asks_more=False) for unit in rest)

    def _given_out(self, unit: Unit, *, asks_more: bool) -> _Pending[Unit]:
        asked = request(self._task, unit)
        future = self._client.submit(perform, __version__, asked, pure=False)
        one = _Pending(unit, future, asks_more)
        future.add_done_callback(lambda _: self._finished.put(one))
        return one

    def _forget(self) -> None:
        """Let go of what nobody waits for any more."""
        everything = [given for one in self._pending for given in (one, *one.left)]
        self._client.cancel([one.future for one in everything if one.answer is None])


def _answer_of(future: Any) -> Answer:
    """Return what a worker answered; what Dask itself has to say is an error as well."""
    error = future.exception()
    if error is not None:
        return False, _failure(error)
    try:
        return opened(future.result())
    except CancelledError:
        return False, StoreUnreachableError(
            "the Dask scheduler dropped the work or is gone",
            hint="look at its log; run the command again",
        )


def _failure(error: BaseException) -> DataguardError:
    if type(error).__name__ == "KilledWorker":
        return DataguardError(
            "a unit of work ended several Dask workers",
            hint="look at their logs for what ended them, often a limit of memory; "
            "try --engine local",
        )
    return DataguardError(
        f"the Dask workers cannot run dataguard: {error}",
        hint=f"install it where workers run: pip install 'dataguard[dask]=={__version__}'",
    )
