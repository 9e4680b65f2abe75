"""JSON of policies."""

from __future__ import annotations

from dataguard.core.policy_json import policy_json
from dataguard.model.canary import CanaryRecord, VerifyResult
from dataguard.model.policy import Rules
from dataguard.model.policy_report import PolicyCheck
from dataguard.report.encode import Json, by_field, encode

__all__: list[str] = []


@encode.register(Rules)
def _(value: Rules) -> Json:
    return policy_json(value)


@encode.register(PolicyCheck)
def _(value: PolicyCheck) -> Json:
    return {"valid": value.valid, **by_field(value)}


@encode.register(VerifyResult)
def _(value: VerifyResult) -> Json:
    return {"protected": value.protected, "unchecked": value.unchecked, **by_field(value)}


@encode.register(CanaryRecord)
def _(value: CanaryRecord) -> Json:
    """Say who, when, and what came of each attempt; the hash of the credential is for gates."""
    return {
        "place": encode(value.place),
        "endpoint": value.endpoint,
        "state": str(value.state),
        "complete": value.complete,
        "caller": value.caller.name,
        "access_key": value.caller.access_key,
        "credential": value.caller.credential,
        "verified": encode(value.verified),
        "operations": encode(value.probe.steps),
        "left_behind": encode(value.left),
        "policy": value.policy,
    }
