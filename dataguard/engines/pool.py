"""Worker processes and the threads that feed them; a worker that dies loses nothing."""

from __future__ import annotations

import contextlib
import fcntl
import math
from collections import deque
from itertools import count
from queue import Empty, PriorityQueue
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar, cast

from dataguard.engines.process import start
from dataguard.engines.worker import frame, read_frame, write
from dataguard.errors import DataguardError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Job", "Pool"]

Unit = TypeVar("Unit")
Result = TypeVar("Result")

_TRIES = 3
_HELD = 2
"""Units a worker has: the one it works on and the next."""


class Job(Generic[Result]):
    """One unit given to a pool; `concurrent.futures` has such a thing, but brings logging."""

    def __init__(
        self, task: Callable[[Unit], Result], unit: Unit, done: Callable[[Result], None] | None
    ) -> None:
        self.request = frame((task.__module__, task.__name__, unit))
        self.tries = 0
        self._done = done
        self._claim = Lock()
        self._ended = Event()
        self._result: Result | None = None
        self._error: BaseException | None = None

    def result(self) -> Result:
        """Wait for the result; raises what the task raised. Not for what was cancelled."""
        self._ended.wait()
        if self._error is not None:
            raise self._error
        return cast("Result", self._result)

    def cancel(self) -> None:
        """Forget the unit if no worker has it yet."""
        self._claim.acquire(blocking=False)

    def begin(self) -> bool:
        """Tell whether the unit is still wanted; who asks first gets it."""
        return self._claim.acquire(blocking=False)

    def finish(self, answer: tuple[bool, object]) -> None:
        """Take what the worker said: `(True, result)` or `(False, error)`."""
        fine, value = answer
        if not fine:
            self.fail(cast("BaseException", value))
            return
        result = cast("Result", value)
        try:
            if self._done is not None:
                self._done(result)
        except Exception as error:  # noqa: BLE001  the worker border: whoever waits gets it
            self.fail(error)
            return
        self._result = result
        self._ended.set()

    def fail(self, error: BaseException) -> None:
        """Let whoever waits get an error."""
        self._error = error
        self._ended.set()


class _Queued(NamedTuple):
    """A job in the queue, the most urgent first; None ends a feeder."""

    order: float
    serial: int
    job: Job[object] | None


class Pool:
    """Worker processes, each fed by a thread of its own."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._jobs: PriorityQueue[_Queued] = PriorityQueue()
        self._serial = count()
        self._feeders = [_Feeder(self._jobs) for _ in range(size)]
        for feeder in self._feeders:
            feeder.start()

    def submit(
        self,
        task: Callable[[Unit], Result],
        unit: Unit,
        done: Callable[[Result], None] | None = None,
        *,
        order: int = 0,
    ) -> Job[Result]:
        """Queue a unit; `done` is called with its result before anybody else gets it.

        Units of a lower `order` are begun first.
        """
        job = Job(task, unit, done)
        self._jobs.put(_Queued(order, next(self._serial), cast("Job[object]", job)))
        return job

    def close(self) -> None:
        """End the workers at once; units that nobody waits for any more are dropped."""
        for feeder in self._feeders:
            feeder.give_up()
        for _ in self._feeders:
            self._jobs.put(_Queued(math.inf, next(self._serial), None))
        for feeder in self._feeders:
            feeder.join()


class _Feeder(Thread):
    """Keeps one worker busy: writes the next units to it and reads its answers."""

    def __init__(self, jobs: PriorityQueue[_Queued]) -> None:
        super().__init__(name="dataguard-feeder", daemon=True)
        self._jobs = jobs
        self._held: deque[Job[object]] = deque()
        self._worker = _Worker()
        self._given_up = Event()
        self._closed = False

    def give_up(self) -> None:
        """End the worker, whatever it does."""
        self._given_up.set()
        self._worker.terminate()

    def run(self) -> None:
        """Feed until the pool is closed."""
        try:
            while not self._closed or self._held:
                self._fill()
                if self._held:
                    self._take_answer()
        finally:
            self._worker.end()

    def _fill(self) -> None:
        """Give the worker units until it has enough; waits only where it has none."""
        while not self._closed and len(self._held) < _HELD and self._has_room():
            try:
                job = self._jobs.get(block=not self._held).job
            except Empty:
                return
            if job is None:
                self._closed = True
            elif job.begin():
                self._held.append(job)
                self._write(job)

    def _has_room(self) -> bool:
        return not self._held or self._waits_in_pipe(self._held[0])

    def _waits_in_pipe(self, job: Job[object]) -> bool:
        """Whether two of its size fit the pipe.

        Writing more could wait for the worker while that waits for its answer to be read.
        """
        return len(job.request) <= self._worker.room // 2

    def _write(self, job: Job[object]) -> None:
        if job is not self._held[0] and not self._waits_in_pipe(job):
            return  # written when the one before it is done
        # A worker that is gone is noticed when its answer is read.
        with contextlib.suppress(BrokenPipeError):
            self._worker.write(job.request)

    def _take_answer(self) -> None:
        try:
            answer = self._worker.read()
        except EOFError:
            self._blame()
            self._renew()
            return
        except Exception as error:  # noqa: BLE001  the worker border: whoever waits gets it
            self._held.popleft().fail(error)
            self._renew()  # nobody knows where in the pipe the next answer begins
            return
        self._held.popleft().finish(answer)
        if self._held and not self._waits_in_pipe(self._held[0]):
            self._write(self._held[0])

    def _blame(self) -> None:
        """Count a dead worker against the unit it worked on; too many fail the unit."""
        suspect = self._held[0]
        suspect.tries += 1
        if suspect.tries == _TRIES and not self._given_up.is_set():
            self._held.popleft().fail(
                DataguardError(
                    f"a unit of work ended {_TRIES} worker processes",
                    hint="look for the out-of-memory killer in the kernel log; try --engine serial",
                )
            )

    def _renew(self) -> None:
        """Put a new worker in the old one's place and give it what that had."""
        self._worker.end()
        if self._given_up.is_set():
            self._fail_held(DataguardError("the work was given up"))
            return
        try:
            self._worker = _Worker()
        except DataguardError as err:
            # The old one stays in its place, ended: the next unit asks for a new one again.
            self._fail_held(err)
            return
        if self._given_up.is_set():  # the pool was closed while the new one started
            self._worker.terminate()
        held, self._held = self._held, deque()
        for job in held:
            self._held.append(job)
            self._write(job)

    def _fail_held(self, error: DataguardError) -> None:
        while self._held:
            self._held.popleft().fail(error)


class _Worker:
    """One process, spoken to in frames."""

    def __init__(self) -> None:
        try:
            self._process = start()
        except OSError as err:
            raise DataguardError(
                f"cannot start a worker process: {err.strerror}",
                hint="free memory or raise `ulimit -u`; or take --engine serial",
            ) from err
        self._ended = False
        self.room = fcntl.fcntl(self._process.requests, fcntl.F_GETPIPE_SZ)

    def write(self, request: bytes) -> None:
        """Send a request.

        Raises:
            BrokenPipeError: the worker is gone.
        """
        if self._ended:
            raise BrokenPipeError
        write(self._process.requests, request)

    def read(self) -> tuple[bool, object]:
        """Wait for the next answer.

        Raises:
            EOFError: the worker is gone.
        """
        if self._ended:
            raise EOFError
        return cast("tuple[bool, object]", read_frame(self._process.answers))

    def terminate(self) -> None:
        """End the process, whatever it does; a thread that waits for it gets an EOFError."""
        self._process.terminate()

    def end(self) -> None:
        """End the process and let go of it."""
        self._ended = True
        self._process.end()
