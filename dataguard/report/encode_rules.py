"""JSON of policies."""

from __future__ import annotations

from dataguard.core.policy_json import policy_json
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
