"""Canary writes: the proof that a credential cannot write gold in an object store."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass
from dataguard.model.mount import Probe, ProbeOutcome

if TYPE_CHECKING:
    from datetime import datetime

    from dataguard.model.actor import Actor
    from dataguard.model.finding import Finding

__all__ = [
    "CANARY_PREFIX",
    "NEEDED",
    "OPERATIONS",
    "SETTINGS",
    "Caller",
    "CanaryRecord",
    "CanaryState",
    "Protection",
    "VerifyResult",
    "canary_key",
    "canary_prefix",
]

CANARY_PREFIX = "canary/"

NEEDED = ("PutObject", "DeleteObject")
"""What must have been refused, or nothing is proven."""

SETTINGS = ("PutBucketVersioning", "PutBucketPolicy")
"""What undoes a protection without touching an object."""

OPERATIONS = (
    *("CreateMultipartUpload", "PutObjectTagging", "DeleteObjectVersion", "DeleteObjects"),
    *NEEDED,
    *SETTINGS,
)
"""Names of the attempts in their order: first what leaves nothing behind where it is allowed."""


class CanaryState(StrEnum):
    """What a canary came to."""

    PROTECTED = "protected"
    EXPOSED = "not enforced"
    UNPROVEN = "not verified"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who tried: `credential` is a hash by which the same identity is known again.

    It is that of the access key id, for temporary keys that of their role. `access_key` shows no
    more than its ends. `arn` is empty where nobody told.
    """

    credential: str
    access_key: str
    arn: str = ""

    @property
    def name(self) -> str:
        """How the caller is shown."""
        return self.arn or self.access_key


@dataclass(frozen=True, slots=True)
class CanaryRecord:
    """What canary writes below a place came to; `left` is what could not be removed again.

    `policy` is the digest of the bucket's policy document that stood meanwhile (`none`: there was
    none); None where it could not be read, or changed.
    """

    place: str
    endpoint: str
    caller: Caller
    verified: datetime
    probe: Probe
    actor: Actor
    left: tuple[str, ...] = ()
    policy: str | None = None

    @property
    def key(self) -> str:
        """The name under which the catalog keeps the newest record of a place and a credential."""
        return canary_key(self.place, self.caller.credential)

    @property
    def state(self) -> CanaryState:
        """What is proven; attempts on the bucket's settings that could not be made do not count."""
        results = {step.operation: step.result for step in self.probe.steps}
        if ProbeOutcome.ALLOWED in results.values():
            return CanaryState.EXPOSED
        objects = [result for name, result in results.items() if name not in SETTINGS]
        needed = [results.get(name, ProbeOutcome.REFUSED) for name in NEEDED]
        refused = ProbeOutcome.REFUSED in objects and {*needed} == {ProbeOutcome.REFUSED}
        if refused and ProbeOutcome.FAILED not in objects:
            return CanaryState.PROTECTED
        return CanaryState.UNPROVEN

    @property
    def complete(self) -> bool:
        """Whether everything that applies was tried."""
        return all(step.result is not ProbeOutcome.FAILED for step in self.probe.steps)


@dataclass(frozen=True, slots=True)
class Protection:
    """What a gate knows of a place in an object store and of the credential of the job.

    `record` is the newest of this credential. `error` says why the credential is not known.
    """

    place: str
    record: CanaryRecord | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """Result of `policy verify`; what is said of a local place is not kept in the catalog."""

    places: tuple[str, ...]
    records: tuple[CanaryRecord, ...]
    findings: tuple[Finding, ...]

    @property
    def protected(self) -> bool:
        """Whether everything was refused everywhere."""
        return bool(self.records) and all(
            one.state is CanaryState.PROTECTED for one in self.records
        )

    @property
    def unchecked(self) -> bool:
        """Whether something could not be tried."""
        return any(not one.complete for one in self.records)


def canary_prefix(place: str) -> str:
    """Return what the names of all records of a place begin with."""
    digest = hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()
    return f"{CANARY_PREFIX}{digest[:32]}/"


def canary_key(place: str, credential: str) -> str:
    """Return the name under which the newest record of a place and a credential is kept."""
    return f"{canary_prefix(place)}{credential[:32]}"
