"""The policies that come with dataguard, as `dataguard/policies/*.toml` say them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, TypeVar

from dataguard.model.audit import AuditLevel
from dataguard.model.confinement import Mode, Step
from dataguard.model.digest import Strength
from dataguard.model.diversion import Reported
from dataguard.model.finding import Severity
from dataguard.model.mount import Guarantee
from dataguard.model.policy import (
    AreaRules,
    AuditRules,
    DigestRules,
    InputRules,
    MountRules,
    ObjectRules,
    OutputRules,
    Policy,
    Rules,
    RunRules,
    Seal,
    SealRules,
    Wanted,
)

__all__ = ["READY_POLICIES"]

Table = TypeVar("Table", bound=Rules)

_AT_HOME = "{home}/dataguard-outputs/{dataset}"
_SCRATCH = "/scratch/{user}/{dataset}"


def _said(kind: type[Table], **keys: Any) -> Table:
    """Return a table in which these keys are set."""
    return kind(**keys, said=frozenset(keys))


READY_POLICIES = {
    "default": _said(
        Policy,
        format="policy/1",
        name="default",
        digest=_said(DigestRules, required_strength=Strength.ACCIDENTAL),
        inputs=_said(InputRules, pinned=True),
        outputs=_said(OutputRules, allowed=(), default=_AT_HOME),
        audit=_said(AuditRules, max_age=timedelta(days=90), level=AuditLevel.QUICK),
        mount=_said(MountRules, required_guarantee=Guarantee.NONE),
        seal=_said(SealRules, required=Seal.NONE),
        run=_said(RunRules, diverted=Reported.EDITS),
    ),
    "regulated": _said(
        Policy,
        format="policy/1",
        name="regulated",
        digest=_said(DigestRules, required_strength=Strength.ADVERSARIAL),
        inputs=_said(InputRules, pinned=True),
        areas=(_said(AreaRules, scratch=("/scratch",)),),
        outputs=_said(OutputRules, allowed=((_SCRATCH,),), default=_SCRATCH),
        audit=_said(AuditRules, max_age=timedelta(days=30), level=AuditLevel.FULL),
        mount=_said(MountRules, required_guarantee=Guarantee.ENFORCED),
        seal=_said(SealRules, required=Seal.NONE),
        objects=_said(
            ObjectRules,
            versioning=Wanted.REQUIRED,
            canary=Wanted.REQUIRED,
            canary_max_age=timedelta(days=30),
        ),
        run=_said(RunRules, confine=Mode.STRICT, required=Step.FULL, diverted=Reported.ALL),
        severity={"DG105": Severity.ERROR, "DG108": Severity.ERROR},
    ),
    "research": _said(
        Policy,
        format="policy/1",
        name="research",
        digest=_said(DigestRules, required_strength=Strength.ACCIDENTAL),
        inputs=_said(InputRules, pinned=False),
        outputs=_said(OutputRules, allowed=(), default=_AT_HOME),
        mount=_said(MountRules, required_guarantee=Guarantee.NONE),
        seal=_said(SealRules, required=Seal.NONE),
    ),
}
"""By name; `tests/actions/test_policy_action.py` holds them to the files that users read."""
