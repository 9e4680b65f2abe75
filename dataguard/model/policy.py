"""Policies: the rules in force.

Plain values, so that a command which reads no policy file needs no library for them. What a file
may hold is in `model/policy_form.py`, which has the same tables with the same keys.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from dataguard.model.attempt import Witness
from dataguard.model.audit import AuditLevel
from dataguard.model.confinement import Mode, Step
from dataguard.model.digest import Strength
from dataguard.model.diversion import Reported, Writes
from dataguard.model.mount import Guarantee

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from dataguard.model.finding import Code, Severity

__all__ = [
    "AreaRules",
    "AuditRules",
    "CatalogRules",
    "DigestRules",
    "Exemption",
    "InputRules",
    "Lock",
    "Maintenance",
    "MountRules",
    "ObjectRules",
    "OutputRules",
    "Policy",
    "Rules",
    "RunRules",
    "Seal",
    "SealRules",
    "Wanted",
    "WatchRules",
]


class Seal(StrEnum):
    """How a source is protected in place; later members protect more."""

    NONE = "none"
    MODE = "mode"
    IMMUTABLE = "immutable"


class Wanted(StrEnum):
    """How much something is wanted; from weak to strong."""

    OPTIONAL = "optional"
    REQUIRED = "required"


class Lock(StrEnum):
    """What holds the objects of inputs in place; from weak to strong."""

    NONE = "none"
    GOVERNANCE = "governance"
    COMPLIANCE = "compliance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """A table of a policy; `said` are the keys that were set, the others say nothing."""

    said: frozenset[str] = field(default=frozenset(), compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestRules(Rules):
    """What the digests of inputs must protect against."""

    required_strength: Strength = Strength.ACCIDENTAL


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRules(Rules):
    """How inputs must be named."""

    pinned: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaRules(Rules):
    """Parts of file systems and buckets with a role; the deepest area that holds a path decides."""

    gold: tuple[str, ...] = ()
    output: tuple[str, ...] = ()
    scratch: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputRules(Rules):
    """Where outputs may go: each list of patterns in `allowed` must allow the place."""

    allowed: tuple[tuple[str, ...], ...] = ()
    default: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRules(Rules):
    """How recently inputs must have been audited."""

    max_age: timedelta | None = None
    level: AuditLevel = AuditLevel.QUICK


@dataclass(frozen=True, slots=True, kw_only=True)
class MountRules(Rules):
    """What the mounts of inputs must promise."""

    required_guarantee: Guarantee = Guarantee.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class SealRules(Rules):
    """How the sources of inputs must be protected in place."""

    required: Seal = Seal.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRules(Rules):
    """What the buckets of inputs must do, and what must be proven of them.

    A proof counts for `canary_max_age`. Objects are held by a `lock` for `retention` at least,
    counted from when they were written.
    """

    versioning: Wanted = Wanted.OPTIONAL
    lock: Lock = Lock.NONE
    retention: timedelta | None = None
    canary: Wanted = Wanted.OPTIONAL
    canary_max_age: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRules(Rules):
    """How jobs must be confined at least, and the step of the ladder that has to hold.

    `writes` is what a job may have done with its writes into inputs; `diverted` says which of those
    that were led away are findings. `attempts`: whether the host is made to tell what it refuses.
    """

    confine: Mode = Mode.UNCONFINED
    required: Step = Step.CHECKED
    writable: tuple[str, ...] = ()
    writes: Writes = Writes.ROUTE
    diverted: Reported = Reported.NONE
    attempts: Witness = Witness.HOST


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintenance(Rules):
    """A time in which somebody is expected to write into gold."""

    dataset: str = "*"
    since: datetime
    until: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchRules(Rules):
    """What follows when a watcher finds something, and when it looks away or lists buckets."""

    bucket_interval: timedelta | None = None
    quarantine_on: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    command_timeout: timedelta = timedelta(minutes=1)
    maintenance: tuple[Maintenance, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogRules(Rules):
    """The only catalog a gate may believe."""

    url: tuple[str, ...] = ()
    home: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemption(Rules):
    """Findings that are known and borne for a while."""

    codes: tuple[str, ...]
    dataset: str = "*"
    path: str | None = None
    reason: str
    expires: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy(Rules):
    """A whole policy.

    Every default is the weakest choice except `inputs.pinned`. A value read from a file and a
    value that joins several layers (see `core/tighten.py`) have the same form.
    """

    format: str = "policy/1"
    name: str
    digest: DigestRules = DigestRules()
    inputs: InputRules = InputRules()
    areas: tuple[AreaRules, ...] = (AreaRules(),)
    outputs: OutputRules = OutputRules()
    audit: AuditRules = AuditRules()
    mount: MountRules = MountRules()
    seal: SealRules = SealRules()
    objects: ObjectRules = ObjectRules()
    run: RunRules = RunRules()
    watch: WatchRules = WatchRules()
    catalog: CatalogRules = CatalogRules()
    severity: Mapping[str, Severity] = field(default_factory=dict)
    exemption: tuple[Exemption, ...] = ()

    def severity_of(self, code: Code) -> Severity:
        """Severity of findings with this code."""
        return self.severity.get(code.name, code.default_severity)
