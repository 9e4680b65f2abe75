"""`run`: gate, confined job, verification of the inputs before and after, outputs, record."""

from __future__ import annotations

import os
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.actions.confinement import Asked, start
from dataguard.actions.gate import check_gate, known_areas, person
from dataguard.actions.jobcommand import environment_digest
from dataguard.actions.recording import record_comparison
from dataguard.actions.refusals import Served, refused_writes
from dataguard.actions.routing import layers_of, rehearsed, routed
from dataguard.actions.rundestination import CLAIM, STAGED
from dataguard.actions.runending import Ended, end
from dataguard.actions.runrecord import admit, clear_private, finish, inputs_of, not_started
from dataguard.actions.runrequest import decided
from dataguard.actions.runresult import is_enforced, refused
from dataguard.actions.verification import verify
from dataguard.core.areas import gold_area
from dataguard.errors import ConflictError, DataguardError, NotStartedError
from dataguard.model.dataclass import dataclass
from dataguard.model.diversion import Writes
from dataguard.model.placement import Places
from dataguard.model.run import Run, RunState
from dataguard.mounts import mountinfo
from dataguard.sandbox.revision import code_revision
from dataguard.stores.rundirectory import RunDirectory, make_private_directory

if TYPE_CHECKING:
    from datetime import datetime

    from dataguard.actions.context import Context
    from dataguard.actions.diversion import Routing
    from dataguard.actions.inputs import JobInput
    from dataguard.actions.rundestination import Destination
    from dataguard.actions.runrequest import Request
    from dataguard.actions.verification import Verification
    from dataguard.model.gate import GateResult
    from dataguard.model.results.run import RunResult
    from dataguard.sandbox.launch import Ending

__all__ = ["explain", "run"]


def run(ctx: Context, request: Request) -> tuple[RunResult, GateResult]:
    """Run a job between two verifications of its inputs.

    The job is not started (`allowed` is False) where the gate refuses, or an input is not what
    its version says. Where an input changed during the run the outputs are tainted (DG304).

    Raises:
        UsageError: no command, an unknown placeholder, or two inputs with one variable.
        ConflictError: the run id has been used.
        NotStartedError: the job cannot be confined as asked.
        StoreUnreachableError: the outputs place cannot be written.
    """
    request, inputs, place, decision = decided(ctx, request)
    if decision.allowed:
        result, decision = _run(ctx, request, inputs, place, decision)
    else:
        result = refused(inputs)
    return replace(result, checks=decision.checks), decision


def explain(ctx: Context, request: Request) -> tuple[RunResult, GateResult]:
    """Say what `run` would do, and what would confine the job; nothing is run or recorded.

    Raises:
        UsageError, NotStartedError: as `run` would.
    """
    if not request.command:
        request = replace(request, command=("true",))
    request, inputs, asked_for, decision = decided(ctx, request)
    place = asked_for.local(ctx)
    real = os.path.realpath(place)
    writes = request.rules.writes if decision.allowed else Writes.REFUSE
    near = real if writes is Writes.REFUSE else _nearest(ctx, real, decision)
    with rehearsed(writes, inputs, near) as routing:
        asked = _asked(request, "explain", (place, real), "/dev/null", inputs)
        asked = replace(asked, routing=routing, rehearsal=True)
        ending = start(asked, request.rules, ctx.policy, decision.facts.places)
    result = replace(
        refused(inputs),
        allowed=decision.allowed,
        state="explained",
        enforced=is_enforced(inputs, ending),
        confinement=ending.confinement,
    )
    return replace(result, checks=decision.checks), decision


def _nearest(ctx: Context, place: str, decision: GateResult) -> str:
    """Return the directory that is nearest to a place for outputs, on its file system as a rule.

    Raises:
        NotStartedError: nothing may be made in it, since it is gold.
    """
    while not os.path.isdir(place):
        place = os.path.dirname(place)
    if gold_area((place,), ctx.policy, decision.facts.places) is not None:
        raise NotStartedError(
            f"routing cannot be tried out: the outputs are not there yet, and {place} is gold",
            hint="make the outputs place first: mkdir -p PLACE",
        )
    return place


@dataclass(frozen=True, slots=True)
class _Job:
    """A job that may start, with its directories."""

    id: str
    request: Request
    inputs: tuple[JobInput, ...]
    before: Verification
    directory: RunDirectory
    outputs: str
    private: str

    @property
    def is_remote(self) -> bool:
        """Whether the outputs go to a bucket."""
        return self.outputs != self.directory.path


def _run(
    ctx: Context,
    request: Request,
    inputs: tuple[JobInput, ...],
    place: Destination,
    decision: GateResult,
) -> tuple[RunResult, GateResult]:
    before = verify(ctx, inputs, what="verifying inputs")
    if not before.is_clean:
        # The next gate must know without looking.
        for comparison in before.comparisons:
            record_comparison(ctx, comparison)
        return refused(inputs, before.findings, before), decision
    run_id = request.run_id or _new_id(ctx.clock())
    with RunDirectory.make(place.make_local(ctx), run_id) as directory:
        _check_made(ctx, directory, place.of_run(run_id, directory.place))
        private = make_private_directory(run_id)
        try:
            outputs = place.of_run(run_id, directory.path)
            job = _Job(run_id, request, inputs, before, directory, outputs, private)
            record = _record(ctx, job)
            decision = admit(ctx, record, directory, decision)
            if not decision.allowed:
                return refused(inputs, before=before), decision
            ending, routing, served = _started(ctx, job, record, decision)
        finally:
            # Before the last record: nobody looks for what a finished run left.
            clear_private(private, run_id)
        observed = (*ending.observations, *served.observations())
        told = refused_writes(ctx, inputs, observed, decision.facts.places)
        ended = Ended(inputs, before, directory, ending, routing, *told)
        return end(ctx, record, ended), decision


def _started(
    ctx: Context, job: _Job, record: Run, decision: GateResult
) -> tuple[Ending, Routing | None, Served]:
    """Run the job; where it is not started after all, that is how the run ended."""
    request, routing = job.request, None
    outputs = (job.directory.path, job.directory.place)
    try:
        if job.is_remote:
            _claim(ctx, record)
        served = Served(ctx, job.inputs)
        routing = routed(request.rules.writes, job.inputs, outputs[1], job.id)
        asked = _asked(request, job.id, outputs, job.private, job.inputs)
        asked = replace(asked, routing=routing)
        ending = start(asked, request.rules, ctx.policy, decision.facts.places)
    except DataguardError:
        if routing is not None:
            routing.remove()
        finish(ctx, not_started(ctx, record), job.directory)
        if job.is_remote:
            _give_up(ctx, not_started(ctx, record), job.directory)
        raise
    return ending, routing, served


def _asked(
    request: Request,
    run_id: str,
    outputs: tuple[str, str],
    private: str,
    inputs: tuple[JobInput, ...],
) -> Asked:
    return Asked(
        run_id=run_id,
        command=request.command,
        environment=request.environment,
        directory=request.directory,
        outputs=outputs[0],
        place=outputs[1],
        private=private,
        inputs=inputs,
    )


def _claim(ctx: Context, record: Run) -> None:
    from dataguard.actions.runupload import claim  # noqa: PLC0415  for buckets alone

    claim(ctx, record)


def _give_up(ctx: Context, record: Run, directory: RunDirectory) -> None:
    from dataguard.actions.runupload import give_up  # noqa: PLC0415  as above

    give_up(ctx, record, directory)


def _check_made(ctx: Context, directory: RunDirectory, outputs: str) -> None:
    """Refuse a directory that came to lie in gold after the gate looked; so of its objects.

    Raises:
        ConflictError: it does; it is removed again.
    """
    areas = tuple(known_areas(ctx, mountinfo.read()))
    gold = gold_area((directory.place,), ctx.policy, Places(person(ctx), areas))
    if gold is not None or not check_gate(ctx, (), (outputs,)).allowed:
        directory.remove()
        raise ConflictError(
            f"{directory.path} is no place for outputs any more",
            hint="dataguard policy explain PLACE",
        )


def _record(ctx: Context, job: _Job) -> Run:
    request = job.request
    return Run(
        id=job.id,
        state=RunState.RUNNING,
        command=request.command,
        directory=request.directory,
        workspace=None if request.workspace is None else request.workspace.directory,
        outputs=job.outputs,
        inputs=inputs_of(job.inputs, job.before),
        actor=ctx.actor,
        process=ctx.process,
        started=ctx.clock(),
        code_revision=code_revision(request.directory),
        environment_digest=environment_digest(request.environment),
        metadata={
            "tmpdir": job.private,
            "directory": job.directory.identity,
            "confine": str(request.rules.mode),
            **layers_of(request.rules.writes, job.directory.place, job.id),
            **_staged(job),
        },
    )


def _staged(job: _Job) -> dict[str, str]:
    """Return what the record says of outputs that go to a bucket; the claim is this run's alone."""
    if not job.is_remote:
        return {}
    return {STAGED: job.directory.path, CLAIM: f"{job.id}.{secrets.token_hex(16)}"}


def _new_id(now: datetime) -> str:
    return f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
