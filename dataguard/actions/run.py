"""`run`: gate, job, verification of the inputs before and after, outputs, record."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dataguard.actions.gate import check_gate, outputs_place
from dataguard.actions.inputs import JobInput, resolve_inputs
from dataguard.actions.outputs import Outputs, collect_outputs
from dataguard.actions.recording import record_comparison, record_findings
from dataguard.actions.runrecord import clear_private, finish, free_record, save
from dataguard.actions.verification import Verification, changes_between, verify
from dataguard.errors import ConflictError, UsageError
from dataguard.model.gate import MountCondition
from dataguard.model.results import RunResult
from dataguard.model.run import Run, RunInput, RunState
from dataguard.sandbox.job import run_job
from dataguard.sandbox.revision import code_revision
from dataguard.stores.rundirectory import (
    RunDirectory,
    make_private_directory,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from dataguard.actions.context import Context
    from dataguard.model.finding import Finding
    from dataguard.model.gate import GateResult
    from dataguard.model.workspace import Workspace

__all__ = ["Request", "run"]

_PLACEHOLDER = re.compile(r"\{(out|in:[^{}]+)\}")
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_OWN_VARIABLES = re.compile(r"(?:DATAGUARD_.*|TMPDIR)")


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked `run` to do; `environment` is that of the caller."""

    command: tuple[str, ...]
    references: tuple[str, ...]
    outputs: str | None
    workspace: Workspace | None
    directory: str
    environment: Mapping[str, str]
    run_id: str | None = None


def run(ctx: Context, request: Request) -> tuple[RunResult, GateResult]:
    """Run a job between two verifications of its inputs.

    The job is not started (`allowed` is False) where the gate refuses, or an input is not what
    its version says. Where an input changed during the run the outputs are tainted (DG304).

    Raises:
        UsageError: no command, an unknown placeholder, or two inputs with one variable.
        ConflictError: the run id has been used.
        StoreUnreachableError: the outputs place cannot be written.
    """
    inputs = resolve_inputs(ctx, request.references, request.workspace)
    place = _local(request.outputs or outputs_place(ctx, inputs, request.workspace))
    _check_request(request, inputs)
    decision = check_gate(ctx, inputs, (place,))
    result = _run(ctx, request, inputs, place) if decision.allowed else _refused(inputs, ())
    return replace(result, checks=decision.checks), decision


@dataclass(frozen=True, slots=True)
class _Job:
    """A job that may start, with its directories."""

    id: str
    request: Request
    inputs: tuple[JobInput, ...]
    before: Verification
    directory: RunDirectory
    private: str


def _run(
    ctx: Context,
    request: Request,
    inputs: tuple[JobInput, ...],
    place: str,
) -> RunResult:
    before = _verified(ctx, inputs, "verifying inputs")
    if not before.is_clean:
        # The next gate must know without looking.
        for comparison in before.comparisons:
            record_comparison(ctx, comparison)
        return _refused(inputs, before.findings, before)
    run_id = request.run_id or _new_id(ctx.clock())
    with RunDirectory.make(place, run_id) as directory:
        _check_made(ctx, directory)
        private = make_private_directory(run_id)
        try:
            job = _Job(run_id, request, inputs, before, directory, private)
            record = _record(ctx, job)
            save(ctx, record, directory)
            code = _execute(job)
        finally:
            # Before the last record: nobody looks for what a finished run left.
            clear_private(private, run_id)
        return _finish(ctx, job, record, code)


def _check_made(ctx: Context, directory: RunDirectory) -> None:
    """Refuse a directory that came to lie in gold after the gate looked.

    Raises:
        ConflictError: it does; it is removed again.
    """
    if not check_gate(ctx, (), (directory.place,)).allowed:
        directory.remove()
        raise ConflictError(
            f"{directory.path} is no place for outputs any more",
            hint="dataguard policy explain PLACE",
        )


def _execute(job: _Job) -> int:
    outputs = job.directory.path
    places = {"out": outputs} | {f"in:{one.name}": one.path for one in job.inputs}
    command = tuple(
        _PLACEHOLDER.sub(lambda found: places[found[1]], word) for word in job.request.command
    )
    variables = {
        "DATAGUARD_RUN_ID": job.id,
        "DATAGUARD_OUTPUTS": outputs,
        "TMPDIR": job.private,
        **{variable_of(one.name): one.path for one in job.inputs},
    }
    environment = {**job.request.environment, **variables}
    return run_job(command, directory=job.request.directory, environment=environment)


def _finish(ctx: Context, job: _Job, record: Run, code: int) -> RunResult:
    after = _verified(ctx, job.inputs, "verifying inputs again")
    changes = changes_between(ctx, job.before, after)
    for comparison in after.comparisons:
        if not comparison.is_clean:
            record_comparison(ctx, comparison)
    aside = free_record(record, job.directory)
    with ctx.manifests.in_use():
        outputs = collect_outputs(ctx, job.directory)
        tainted = bool(changes.violations) or not after.is_complete
        finished = replace(
            record,
            state=_state(code, tainted=tainted),
            inputs=tuple(
                replace(one, after=after.word(one.dataset, one.version)) for one in record.inputs
            ),
            finished=ctx.clock(),
            exit_code=code,
            output_root=None if outputs.root is None else str(outputs.root),
            output_files=len(outputs.files),
            output_bytes=sum(one.size for one in outputs.files),
        )
        record_findings(ctx, changes)
        unwritten = finish(ctx, finished, job.directory)
    result = _result(job, finished, changes, after, outputs)
    return replace(
        result,
        diverted=tuple(one for one in outputs.files if aside and one.path == aside.encode()),
        unreadable=(*result.unreadable, *unwritten),
    )


def _local(place: str) -> str:
    """Return a place for outputs as an absolute path."""
    if "://" in place:
        raise UsageError(
            f"cannot put outputs into {place}: this release writes to file systems only",
            hint="give --output DIR",
        )
    return os.path.abspath(place)


def _verified(ctx: Context, inputs: tuple[JobInput, ...], what: str) -> Verification:
    ctx.progress.start(what)
    try:
        return verify(ctx, inputs)
    finally:
        ctx.progress.finish()


def variable_of(name: str) -> str:
    """Return the environment variable that tells a job where an input is."""
    return "DATAGUARD_INPUT_" + re.sub(r"[^A-Z0-9]", "_", name.upper())


def _check_request(request: Request, inputs: tuple[JobInput, ...]) -> None:
    if not request.command:
        raise UsageError("no command to run", hint="dataguard run -- python train.py")
    if request.run_id is not None and _RUN_ID.fullmatch(request.run_id) is None:
        raise UsageError(
            f"`{request.run_id}` is no run id", hint="use letters, digits, `.`, `_`, `-`"
        )
    variables = [variable_of(one.name) for one in inputs]
    twice = {name for name in variables if variables.count(name) > 1}
    if twice:
        raise UsageError(
            f"two inputs would share the variable {min(twice)}",
            hint="mount one of them under another name: dataguard mount REF --as NAME",
        )
    known = {"out", *(f"in:{one.name}" for one in inputs)}
    for word in request.command:
        for found in _PLACEHOLDER.finditer(word):
            if found[1] not in known:
                names = ", ".join(f"{{{name}}}" for name in sorted(known))
                raise UsageError(f"nothing stands for {found[0]}", hint=f"there are {names}")


def _record(ctx: Context, job: _Job) -> Run:
    request = job.request
    return Run(
        id=job.id,
        state=RunState.RUNNING,
        command=request.command,
        directory=request.directory,
        workspace=None if request.workspace is None else request.workspace.directory,
        outputs=job.directory.path,
        inputs=_run_inputs(job.inputs, job.before),
        actor=ctx.actor,
        process=ctx.process,
        started=ctx.clock(),
        code_revision=code_revision(request.directory),
        environment_digest=_environment_digest(request.environment),
        metadata={"tmpdir": job.private, "directory": job.directory.identity},
    )


def _run_inputs(inputs: tuple[JobInput, ...], before: Verification | None) -> tuple[RunInput, ...]:
    return tuple(
        RunInput(
            dataset=one.version.dataset,
            version=one.version.number,
            root=str(one.version.root),
            location=one.location.place,
            name=one.name,
            before=(
                before.word(one.version.dataset, one.version.number) if before else "not checked"
            ),
            after="not checked",
        )
        for one in inputs
        if one.version is not None and one.location is not None
    )


def _result(
    job: _Job,
    record: Run,
    changes: Collection[Finding],
    after: Verification,
    outputs: Outputs,
) -> RunResult:
    return RunResult(
        run=record.id,
        allowed=True,
        state=str(record.state),
        exit_code=record.exit_code,
        outputs_directory=record.outputs,
        inputs=record.inputs,
        outputs=outputs.files,
        diverted=(),
        findings=changes,
        unreadable=(*after.unreadable, *outputs.unreadable),
        enforced=all(one.mount is MountCondition.READ_ONLY for one in job.inputs),
    )


def _refused(
    inputs: tuple[JobInput, ...],
    findings: Collection[Finding],
    before: Verification | None = None,
) -> RunResult:
    return RunResult(
        run=None,
        allowed=False,
        state="refused",
        exit_code=None,
        outputs_directory=None,
        inputs=_run_inputs(inputs, before),
        outputs=(),
        diverted=(),
        findings=findings,
        unreadable=() if before is None else before.unreadable,
        enforced=False,
    )


def _state(code: int, *, tainted: bool) -> RunState:
    if tainted:
        return RunState.TAINTED
    return RunState.COMPLETE if code == 0 else RunState.FAILED


def _environment_digest(environment: Mapping[str, str]) -> str:
    """Return the SHA-256 of the sorted environment, without what dataguard itself sets."""
    kept = sorted((k, v) for k, v in environment.items() if not _OWN_VARIABLES.fullmatch(k))
    text = b"".join(os.fsencode(f"{key}={value}") + b"\0" for key, value in kept)
    return hashlib.sha256(text).hexdigest()


def _new_id(now: datetime) -> str:
    return f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
