"""What a gate looks at and what it answers."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass
from dataguard.model.mount import Guarantee

if TYPE_CHECKING:
    from datetime import datetime

    from dataguard.model.audit import AuditRecord
    from dataguard.model.canary import Protection
    from dataguard.model.dataset import Version
    from dataguard.model.finding import Code
    from dataguard.model.objects import ObjectPlace
    from dataguard.model.placement import Places
    from dataguard.model.policy import Seal

__all__ = [
    "CatalogFacts",
    "Check",
    "GateFacts",
    "GateResult",
    "InputFacts",
    "MountCondition",
    "OutputFacts",
]


class MountCondition(StrEnum):
    """What is found where an input should be mounted; `unknown` is what could not be checked."""

    READ_ONLY = "read-only"
    DECLARED = "declared"
    SYMLINK = "symlink"
    NOT_MOUNTED = "not mounted"
    MISSING = "missing"
    REPLACED = "replaced"
    WRITABLE = "writable"
    PROBE_FAILED = "probe failed"
    UNKNOWN = "unknown"

    @property
    def guarantee(self) -> Guarantee:
        """What a mount in this condition promises."""
        if self is MountCondition.READ_ONLY:
            return Guarantee.ENFORCED
        return Guarantee.DECLARED if self is MountCondition.DECLARED else Guarantee.NONE


@dataclass(frozen=True, slots=True)
class InputFacts:
    """One input: what was asked for and what it is.

    `version` is None where the reference means nothing, and `error` says why. `pinned` counts the
    lock file too. `audits` are those of the version where it will be read, in any order; the
    registration recorded the first. `seal` is None where it could not be determined,
    `seal_detail` says what has to be said of it. `detail` says more about the mount. `made_real`:
    the job is not started unless a mount that is declared is made for it. `protection` is what is
    proven of a place in an object store, and `objects` what was recorded of its bucket; None for
    others.
    """

    reference: str
    version: Version | None
    pinned: bool
    mount: MountCondition
    audits: tuple[AuditRecord, ...] = ()
    seal: Seal | None = None
    seal_detail: str = ""
    error: str = ""
    detail: str = ""
    made_real: bool = False
    protection: Protection | None = None
    objects: ObjectPlace | None = None

    @property
    def guarantee(self) -> Guarantee:
        """What the mount promises the job."""
        if self.made_real and self.mount is MountCondition.DECLARED:
            return Guarantee.ENFORCED
        return self.mount.guarantee


@dataclass(frozen=True, slots=True)
class OutputFacts:
    """One place for outputs.

    `aliases` are all absolute paths by which the place can be reached (after `..` and symlinks,
    and through bind mounts), or its URL; empty where they could not be determined, and `error`
    says why.
    """

    place: str
    aliases: tuple[str, ...]
    error: str = ""


@dataclass(frozen=True, slots=True)
class CatalogFacts:
    """The catalog in use, and the home it belongs to."""

    url: str
    home: str


@dataclass(frozen=True, slots=True)
class GateFacts:
    """Everything a gate decides on; `now` is the time of the decision."""

    inputs: tuple[InputFacts, ...]
    outputs: tuple[OutputFacts, ...]
    places: Places
    catalog: CatalogFacts
    now: datetime


@dataclass(frozen=True, slots=True)
class Check:
    """One thing a gate checked.

    `subject` is the reference or place, empty for the gate as a whole. `code` is the finding
    code a refusal has; None where no policy can lower it. `enforced` is False where the check
    passed although nothing keeps the job from writing. `remedy` is what a refusal is answered
    with, a command where one does it.
    """

    name: str
    ok: bool
    reason: str
    code: Code | None = None
    enforced: bool = True
    subject: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class GateResult:
    """A decision, with the facts it was made on and the name of the policy."""

    facts: GateFacts
    checks: tuple[Check, ...]
    policy: str

    @property
    def allowed(self) -> bool:
        """Whether the job may start; a gate that checked nothing allows nothing."""
        return bool(self.checks) and all(check.ok for check in self.checks)
