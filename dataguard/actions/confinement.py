"""What confines a job: gold and every path to it, found out before the shim starts."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.actions.jobcommand import replaced, variables
from dataguard.core.areas import expand, gold_area, layered_areas
from dataguard.core.confinement import UNCONFINED, too_wide
from dataguard.core.launchers import launcher_of
from dataguard.core.paths import is_inside
from dataguard.errors import NotStartedError, UsageError
from dataguard.model.area import Role
from dataguard.model.attempt import Observable, Observation, Source
from dataguard.model.confinement import Mode, Step
from dataguard.model.dataclass import dataclass
from dataguard.model.diversion import Writes
from dataguard.model.gate import MountCondition
from dataguard.model.mount import Guarantee
from dataguard.mounts.exposure import WritableMounts
from dataguard.sandbox.inherited import Inherited, inherit
from dataguard.sandbox.job import run_job
from dataguard.sandbox.launch import Ending, run_confined
from dataguard.sandbox.plan import Kind, Mark, Plan, rungs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dataguard.actions.diversion import Routing
    from dataguard.actions.inputs import JobInput
    from dataguard.model.confinement import Confinement
    from dataguard.model.placement import Person, Places
    from dataguard.model.policy import Policy
    from dataguard.sandbox.plan import Rung

__all__ = ["Asked", "Rules", "in_force", "look_at_host", "refuse_launcher", "start", "with_mounts"]

_STRICT_DEVICES = (
    *("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm", "mqueue"),
    *("dri", "kfd", "infiniband", "nvidia-caps", "nvidiactl", "nvidia-uvm", "nvidia-uvm-tools"),
    *("nvidia-modeset", *(f"nvidia{number}" for number in range(32))),
)

_NOTHING_REFUSED = Observation(
    Source("landlock", Observable.NO, "an unconfined job is refused only what its user may not do")
)


@dataclass(frozen=True, slots=True)
class Rules:
    """How a job is to be confined: `writable` are more places for `strict`.

    Below the `required` step the job is not started.
    """

    mode: Mode = Mode.PROTECT
    required: Step = Step.CHECKED
    writable: tuple[str, ...] = ()
    writes: Writes = Writes.REFUSE

    @property
    def makes_mounts(self) -> bool:
        """Whether the job is not started unless gold is read-only for it by mounts of its own."""
        return self.mode is not Mode.UNCONFINED and self.required.rank >= Step.MOUNTS.rank


@dataclass(frozen=True, slots=True)
class Asked:
    """A job that may start; `rehearsal` leaves it out and shows what would confine it.

    `place` is where the directory `outputs` really lies, also if a link takes its path meanwhile.
    """

    run_id: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    directory: str
    outputs: str
    place: str
    private: str
    inputs: tuple[JobInput, ...]
    routing: Routing | None = None
    rehearsal: bool = False


def in_force(asked: Rules, policy: Policy, person: Person) -> Rules:
    """Return the rules for a job: the stricter of what is asked and what the policy has at least.

    Raises:
        NotStartedError: the policy does not let jobs run unconfined, or writes be routed, and that
            was asked.
        UsageError: both were asked.
    """
    least = policy.run
    modes = list(Mode)
    if asked.mode is Mode.UNCONFINED and (
        least.confine is not Mode.UNCONFINED or least.required is not Step.CHECKED
    ):
        raise NotStartedError(
            f"the policy `{policy.name}` does not let jobs run unconfined",
            hint="leave --unconfined out",
        )
    if asked.writes is Writes.ROUTE:
        _check_routed(asked, policy)
    return Rules(
        mode=max(asked.mode, least.confine, key=modes.index),
        required=max(asked.required, least.required, key=lambda step: step.rank),
        writable=(*asked.writable, *(expand(place, person) for place in least.writable)),
        writes=asked.writes,
    )


def with_mounts(rules: Rules, policy: Policy, inputs: Iterable[JobInput]) -> Rules:
    """Return rules that make declared mounts real where the policy wants them enforced.

    A job that runs unconfined gets none; its gate refuses it.
    """
    wanted = policy.mount.required_guarantee is Guarantee.ENFORCED
    if not wanted or all(one.mount is not MountCondition.DECLARED for one in inputs):
        return rules
    return replace(rules, required=max(rules.required, Step.MOUNTS, key=lambda step: step.rank))


def _check_routed(asked: Rules, policy: Policy) -> None:
    if asked.mode is Mode.UNCONFINED:
        raise UsageError(
            "writes of a job that is not confined cannot be routed",
            hint="leave --unconfined or --writes route out",
        )
    if policy.run.writes is Writes.REFUSE:
        raise NotStartedError(
            f"the policy `{policy.name}` does not let writes into inputs be routed",
            hint="leave --writes route out",
        )


def refuse_launcher(command: tuple[str, ...]) -> None:
    """Refuse a command whose work is done where nothing that confines it holds.

    Raises:
        NotStartedError: it starts with a launcher such as `srun` or `docker`.
    """
    launcher = launcher_of(command)
    if launcher is not None:
        raise NotStartedError(
            f"what {launcher.name} starts runs outside of this confinement",
            hint=f"{launcher.form}; or --unconfined, which the record shows",
        )


def look_at_host() -> Confinement:
    """Return what would confine a job on this host; tried out, with nothing to protect."""
    plan = Plan(
        mode=Mode.PROTECT,
        marks=(),
        shown=(),
        writable=(),
        inherited=Inherited(()),
        directory="/",
        command=(),
        environment={},
        rehearsal=True,
    )
    return run_confined(lambda _rung: plan, rungs()).confinement


def start(asked: Asked, rules: Rules, policy: Policy, places: Places) -> Ending:
    """Run a job as confined as the rules and this host have it; returns how that was.

    Raises:
        NotStartedError: it cannot be confined as the rules ask, or a descriptor leads into gold.
    """
    from dataguard.sandbox.auditlog import observing  # noqa: PLC0415  sockets: for jobs alone

    if rules.mode is Mode.UNCONFINED:
        return _unconfined(asked)
    marks = tuple(_marks(asked, policy, places))
    golden = tuple(mark.path for mark in marks if mark.kind is Kind.GOLD)
    if asked.routing is not None:
        asked.routing.check(marks)
    plan = Plan(
        mode=rules.mode,
        marks=marks,
        shown=tuple(_shown(asked.inputs)),
        writable=_writable(asked, rules, golden),
        inherited=inherit(golden),
        directory=asked.directory,
        command=asked.command,
        environment=asked.environment,
        required=rules.required,
        routes=() if asked.routing is None else asked.routing.routes,
        hidden=() if asked.routing is None else asked.routing.hidden,
        rehearsal=asked.rehearsal,
    )
    if asked.rehearsal:
        return run_confined(lambda rung: _filled(plan, asked, rung), rungs())
    with observing(policy.run.attempts) as lookout:
        heard = replace(plan, listen=lookout.listener is not None)
        ending = run_confined(
            lambda rung: _filled(heard, asked, rung), rungs(), begins=lookout.expect
        )
        seen = lookout.observation(ending.confinement, ending.process)
    return replace(ending, observations=(seen,))


def _unconfined(asked: Asked) -> Ending:
    if asked.rehearsal:
        return Ending(UNCONFINED, None)
    command, environment = _told(asked, {one.name: one.path for one in asked.inputs})
    code = run_job(command, directory=asked.directory, environment=environment)
    return Ending(UNCONFINED, code, observations=(_NOTHING_REFUSED,))


def _filled(plan: Plan, asked: Asked, rung: Rung) -> Plan:
    """Return the plan with words and variables that name what the job sees in this way."""
    declared = {target for _, target in plan.shown} if rung.mounts else set()
    paths = {}
    for one in asked.inputs:
        is_made = one.target is not None and os.path.realpath(one.target) in declared
        paths[one.name] = one.target if is_made and one.target is not None else one.path
    command, environment = _told(asked, paths)
    return replace(plan, command=command, environment=environment)


def _told(asked: Asked, paths: Mapping[str, str]) -> tuple[tuple[str, ...], Mapping[str, str]]:
    own = variables(asked.run_id, outputs=asked.outputs, private=asked.private, inputs=paths)
    command = replaced(asked.command, outputs=asked.outputs, inputs=paths)
    return command, {**asked.environment, **own}


def _marks(asked: Asked, policy: Policy, places: Places) -> Iterator[Mark]:
    """Yield every path at which gold can be written, and the places for outputs inside it."""
    areas = [area for layer in layered_areas(policy, places) for area in layer]
    mounts = WritableMounts()
    read = [*_read(asked.inputs)]
    golden_areas = [area.place for area in areas if area.role is Role.GOLD]
    known = [place for place in golden_areas if "://" not in place]
    found = [*(path for one in read for path in mounts.paths_to(one))]
    found += [path for one in known for path in mounts.writable_paths_to(one)]
    golden = tuple(dict.fromkeys(found))
    for path in golden:
        yield from _mark(Kind.GOLD, path)
    granted = [area.place for area in areas if area.role is not Role.GOLD]
    opened = [one for one in granted if gold_area((one,), policy, places) is None]
    # The gate let the run's own places pass; a policy can make that a warning only.
    for path in dict.fromkeys((*map(os.path.realpath, (*opened, asked.private)), asked.place)):
        if any(is_inside(path, one) for one in golden):
            yield from _mark(Kind.OPEN, path)


def _read(inputs: Iterable[JobInput]) -> Iterator[str]:
    """Yield the directories of this host that inputs are read from, and their mounts read."""
    for one in inputs:
        if one.location is not None and "://" not in one.location.place:
            yield one.location.place
        if one.cache is not None:
            yield one.cache


def _mark(kind: Kind, path: str) -> Iterator[Mark]:
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError:  # this user cannot reach it, and neither can the job
        yield Mark(kind, path, None)
    else:
        yield Mark(kind, path, (status.st_dev, status.st_ino))


def _shown(inputs: Iterable[JobInput]) -> Iterator[tuple[str, str]]:
    for one in inputs:
        if one.target is not None and one.location is not None and os.path.isdir(one.target):
            yield os.path.realpath(one.location.place), os.path.realpath(one.target)


def _writable(asked: Asked, rules: Rules, golden: tuple[str, ...]) -> tuple[str, ...]:
    own = [asked.private]
    if rules.mode is Mode.STRICT:
        own += [f"/dev/{name}" for name in _STRICT_DEVICES]
        own += rules.writable
    places = [asked.place, *map(os.path.realpath, own)]
    above = too_wide(places, golden)
    return tuple(place for place in places if place not in above)
