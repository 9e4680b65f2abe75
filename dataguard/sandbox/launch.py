"""Starts the shim, way by way until one works, and tells how the job is confined and ended."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dataguard.core.confinement import confinement_of
from dataguard.errors import DataguardError, NotStartedError
from dataguard.model.confinement import Confinement, Layer
from dataguard.model.dataclass import dataclass
from dataguard.sandbox.shim import orders
from dataguard.sandbox.signals import held_back, passed_on
from dataguard.sandbox.terminal import kept_terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dataguard.model.attempt import Observation
    from dataguard.sandbox.plan import Plan, Rung
    from dataguard.sandbox.signals import Waiting

__all__ = ["Ending", "run_confined"]

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_START = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from dataguard.sandbox.shim.main import main; main(int(sys.argv[2]))"
)
_CHUNK = 1 << 16
_HINTS = {"routing": "leave --writes route out; `dataguard run --explain` shows what holds here"}


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job was confined, and its exit code; None for a rehearsal.

    `process` is the number, here, of the process that confined itself and started the job,
    `observations` what was seen of the writes that were refused to the job.
    """

    confinement: Confinement
    exit_code: int | None
    process: int | None = None
    observations: tuple[Observation, ...] = ()


@dataclass(frozen=True, slots=True)
class _Try:
    """What became of one way: the reports of the shim, and its exit code."""

    reports: tuple[tuple[str, str, str], ...]
    exit_code: int
    process: int

    def reason(self, kind: str) -> str | None:
        """Return the first report of a kind in words."""
        return next((f"{name}: {said}" for what, name, said in self.reports if what == kind), None)

    @property
    def layers(self) -> tuple[Layer, ...]:
        known = {orders.HOLDS: True, orders.FAILS: False}
        return tuple(Layer(n, known[k], said) for k, n, said in self.reports if k in known)


def run_confined(
    build: Callable[[Rung], Plan],
    ways: tuple[Rung, ...],
    *,
    begins: Callable[[int], None] = lambda _process: None,
) -> Ending:
    """Run a job in the strongest way that works here; `build` gives the plan for each.

    The code is what a shell would give, see `run_job`. `begins` is told the `process` of the
    ending as soon as the job begins.

    Raises:
        NotStartedError: the job must not be started as planned.
        DataguardError: the shim cannot be started.
    """
    weaker: list[str] = []
    with passed_on() as waiting, kept_terminal():
        for rung in ways:
            plan = build(rung)
            found = _try(plan, rung, waiting, begins)
            refused = found.reason(orders.REFUSED)
            if refused is not None:
                hint = _HINTS.get(refused.split(":", 1)[0])
                raise NotStartedError(f"the job was not started: {refused}", hint=hint)
            missing = found.reason(orders.UNAVAILABLE)
            if missing is None and found.reason(orders.READY) is None:
                raise DataguardError(f"the job's launcher ended early, with {found.exit_code}")
            if missing is None:
                confinement = confinement_of(plan.mode, found.layers, tuple(weaker))
                code = None if plan.rehearsal else found.exit_code
                return Ending(confinement, code, found.process)
            weaker.append(f"{rung}: {missing}")
    raise NotStartedError("nothing can confine the job here", hint="dataguard run --explain")


def _try(plan: Plan, rung: Rung, waiting: Waiting, begins: Callable[[int], None]) -> _Try:
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as reports:
        try:
            with held_back() as blocked:
                process = _start(plan, plan.encode(rung, reports=writing, blocked=blocked), writing)
        finally:
            os.close(writing)
        data = b"".join(iter(lambda: reports.read(_CHUNK), b""))
    found = tuple(orders.decode_reports(data))
    ready = any(kind == orders.READY for kind, _, _ in found)
    inside = next((int(said) for kind, _, said in found if kind == orders.INSIDE), process.pid)
    if ready:  # else it ends by itself, and the next one gets what came
        waiting.attend(process)
        begins(inside)
    return _Try(found, _code(process.wait()), inside)


def _start(plan: Plan, encoded: bytes, reports: int) -> subprocess.Popen[bytes]:
    with _in_memory(encoded) as given:
        try:
            return subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _START, _ROOT, str(given)],
                pass_fds=(*plan.inherited.passed, given, reports),
            )
        except OSError as err:
            raise DataguardError(f"cannot start {sys.executable}: {err.strerror}") from err


@contextmanager
def _in_memory(data: bytes) -> Iterator[int]:
    """Yield a descriptor from which the data can be read, as often as it is inherited."""
    with open(os.memfd_create("dataguard-orders"), "w+b", buffering=0) as file:
        file.write(data)
        file.seek(0)
        yield file.fileno()


def _code(code: int) -> int:
    return code if code >= 0 else 128 - code
