"""What `run` is asked to do, completed: rules, inputs, a place for outputs, what the gate says."""

from __future__ import annotations

import re
from dataclasses import field, replace
from typing import TYPE_CHECKING

from dataguard.actions.confinement import Rules, in_force, refuse_launcher, with_mounts
from dataguard.actions.gate import check_gate, outputs_place, person
from dataguard.actions.inputs import JobInput, resolve_inputs
from dataguard.actions.jobcommand import check_words
from dataguard.actions.rundestination import Destination, destination
from dataguard.errors import UsageError
from dataguard.model.confinement import Mode
from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dataguard.actions.context import Context
    from dataguard.model.gate import GateResult
    from dataguard.model.workspace import Workspace

__all__ = ["Request", "decided"]

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


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
    rules: Rules = field(default_factory=Rules)


def decided(
    ctx: Context, request: Request
) -> tuple[Request, tuple[JobInput, ...], Destination, GateResult]:
    """Return the request with what the policy asks for, its inputs, its place, what is decided.

    Raises:
        UsageError: no command, no such run id, an unknown placeholder, two inputs with one
            variable, or outputs that are to go elsewhere than into a file system or a bucket.
        NotStartedError: the job cannot be confined as asked.
    """
    request = replace(request, rules=in_force(request.rules, ctx.policy, person(ctx)))
    if not request.command:
        raise UsageError("no command to run", hint="dataguard run -- python train.py")
    if request.rules.mode is not Mode.UNCONFINED:
        refuse_launcher(request.command)
    inputs = resolve_inputs(ctx, request.references, request.workspace)
    rules = with_mounts(request.rules, ctx.policy, inputs)
    request = replace(request, rules=rules)
    place = destination(request.outputs or outputs_place(ctx, inputs, request.workspace))
    _check_id(request.run_id)
    check_words(request.command, inputs)
    decision = check_gate(ctx, inputs, (place.place,), made_real=rules.makes_mounts)
    return request, inputs, place, decision


def _check_id(run_id: str | None) -> None:
    if run_id is not None and _RUN_ID.fullmatch(run_id) is None:
        raise UsageError(f"`{run_id}` is no run id", hint="use letters, digits, `.`, `_`, `-`")
