"""The engine that uses this machine's cores: one worker process each, fed by a thread.

Workers are fresh interpreters and no forks, so that neither threads nor locks of Arrow are
inherited, and they import only what the task needs. A worker that dies loses nothing: its unit is
given to a new one.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar, cast

from dataguard.engines.worker import read_frame, write_frame
from dataguard.errors import DataguardError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

__all__ = ["LocalEngine"]

Unit = TypeVar("Unit")
Result = TypeVar("Result")

_LOOK_AHEAD = 8
"""Units in flight or waiting to be fetched, for each worker."""

_TRIES = 3


class LocalEngine:
    """Worker processes on this machine."""

    name = "local"

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or len(os.sched_getaffinity(0))
        self._pool: _Pool | None = None

    def map(
        self, task: Callable[[Unit], Result], units: Iterable[Unit]
    ) -> Iterator[tuple[Unit, Result]]:
        """Yield each unit with `task(unit)`.

        Raises:
            DataguardError: one unit ended three worker processes.
        """
        rest = iter(units)
        # Starting workers costs more than a small tree: the first unit shows whether there is more.
        first = list(itertools.islice(rest, 2))
        if len(first) < 2 or self.workers < 2:  # noqa: PLR2004  one unit is no work to spread
            for unit in itertools.chain(first, rest):
                yield unit, task(unit)
            return
        if self._pool is None:
            self._pool = _Pool(self.workers)
        yield from _in_order(self._pool, task, itertools.chain(first, rest))

    def close(self) -> None:
        """End the worker processes."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None


def _in_order(
    pool: _Pool, task: Callable[[Unit], Result], units: Iterator[Unit]
) -> Iterator[tuple[Unit, Result]]:
    pending: deque[tuple[Unit, Future[Result]]] = deque()
    try:
        for unit in units:
            pending.append((unit, pool.submit(task, unit)))
            if len(pending) >= pool.size * _LOOK_AHEAD:
                done, future = pending.popleft()
                yield done, future.result()
        while pending:
            done, future = pending.popleft()
            yield done, future.result()
    finally:
        for _, future in pending:
            future.cancel()


class _Pool:
    """Worker processes; each is used by one feeding thread at a time."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="dataguard-feeder")
        self._closed = False
        self._workers = {_Worker() for _ in range(size)}
        for worker in self._workers:
            self._idle.put(worker)

    def close(self) -> None:
        """End the workers at once; units that nobody waits for any more are dropped."""
        self._closed = True
        for worker in tuple(self._workers):
            worker.kill()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for worker in self._workers:
            worker.end()

    def submit(self, task: Callable[[Unit], Result], unit: Unit) -> Future[Result]:
        return self._threads.submit(self._call, task, unit)

    def _call(self, task: Callable[[Unit], Result], unit: Unit) -> Result:
        fine, value = self._answer((task.__module__, task.__name__, unit))
        if not fine:
            raise cast("BaseException", value)
        return cast("Result", value)

    def _answer(self, request: tuple[str, str, object]) -> tuple[bool, object]:
        worker = self._idle.get()
        try:
            for _ in range(_TRIES):
                try:
                    return worker.call(request)
                except (EOFError, BrokenPipeError):
                    if self._closed:
                        raise DataguardError("the work was given up") from None
                    worker = self._renewed(worker)
            raise DataguardError(
                f"a unit of work ended {_TRIES} worker processes",
                hint="look for the out-of-memory killer in the kernel log; try --engine serial",
            )
        finally:
            self._idle.put(worker)

    def _renewed(self, dead: _Worker) -> _Worker:
        dead.end()
        worker = _Worker()
        self._workers.add(worker)
        self._workers.discard(dead)
        return worker


class _Worker:
    """One process and the pipes to it."""

    def __init__(self) -> None:
        # -P: a file in the working directory must not stand in for a module.
        command = [
            sys.executable,
            "-P",
            "-c",
            "from dataguard.engines.worker import serve; serve()",
        ]
        # A process group of its own: Ctrl-C is for the parent, which ends its workers in order.
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0
        )
        self.pid = self._process.pid

    def call(self, request: tuple[str, str, object]) -> tuple[bool, object]:
        """Have the worker do one task: module, name and unit.

        Raises:
            EOFError, BrokenPipeError: the worker died.
        """
        if self._process.stdin is None or self._process.stdout is None:
            raise EOFError
        write_frame(self._process.stdin, request)
        return cast("tuple[bool, object]", read_frame(self._process.stdout))

    def kill(self) -> None:
        """End the process, whatever it does; a call that waits for it gets an EOFError."""
        self._process.terminate()

    def end(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self._process.terminate()
        self._process.wait()
