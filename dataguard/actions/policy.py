"""Validate policies, show the rules in force, explain what they say of a place or a code."""

from __future__ import annotations

import json
from itertools import accumulate
from typing import TYPE_CHECKING

from dataguard.actions.settings import read_policy_text
from dataguard.core.areas import check_output_place
from dataguard.core.policy_json import policy_json
from dataguard.core.policy_text import read_policy
from dataguard.core.tighten import tighten
from dataguard.errors import UsageError
from dataguard.model import policy_form
from dataguard.model.finding import Code
from dataguard.model.policy import Policy
from dataguard.model.policy_report import CodeExplanation, PolicyCheck, PolicyReport, PolicyValue

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dataguard.model.gate import OutputFacts
    from dataguard.model.placement import Placement, Places
    from dataguard.model.settings import LoadedPolicy, PolicySource

__all__ = ["check", "explain_code", "explain_place", "schema_text", "show"]


def check(file: str) -> PolicyCheck:
    """Validate a policy file, or a ready policy by its name.

    Raises:
        PolicyError: the file cannot be read.
    """
    match read_policy(read_policy_text(file)):
        case Policy() as policy:
            return PolicyCheck(file, policy.name, ())
        case problems:
            return PolicyCheck(file, "", problems)


def show(loaded: LoadedPolicy) -> PolicyReport:
    """Return every key of the rules in force, with the layers that decided it."""
    sources = tuple(layer.source for layer in loaded.layers)
    asked = [dict(_flat(policy_json(layer.policy, said=True))) for layer in loaded.layers]
    joined = accumulate((layer.policy for layer in loaded.layers), tighten)
    steps = [dict(_flat(policy_json(policy))) for policy in joined]
    values = tuple(_value(key, steps, asked, sources) for key in steps[-1])
    return PolicyReport(loaded.policy.name, sources, values)


def explain_place(
    output: OutputFacts, loaded: LoadedPolicy, places: Places, datasets: tuple[str, ...] = ()
) -> Placement:
    """Say which area holds a place and whether outputs may go there."""
    return check_output_place(output, loaded.policy, places, datasets)


def explain_code(name: str, loaded: LoadedPolicy) -> CodeExplanation:
    """Say what a finding code means under the rules in force.

    Raises:
        UsageError: there is no such code.
    """
    if name.upper() not in Code.__members__:
        known = f"{next(iter(Code)).name} to {list(Code)[-1].name}"
        raise UsageError(f"no finding code `{name}`", hint=f"{known}: see docs/findings.md")
    code, policy = Code[name.upper()], loaded.policy
    decided = [v.decided_by for v in show(loaded).values if v.key == f"severity.{code.name}"]
    exemptions = tuple(e for e in policy.exemption if code.name in e.codes)
    return CodeExplanation(
        code, policy.severity_of(code), code.default_severity, sum(decided, ()), exemptions
    )


def schema_text() -> str:
    """Return the JSON schema of policies as published beside them."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return (
        json.dumps(schema | policy_form.Policy.model_json_schema(), indent=2, ensure_ascii=False)
        + "\n"
    )


def _value(
    key: str,
    steps: list[dict[str, object]],
    asked: list[dict[str, object]],
    sources: tuple[PolicySource, ...],
) -> PolicyValue:
    """Follow one key through the layers; lists keep what earlier layers put in."""
    final, decided, overruled = steps[-1][key], [sources[0]], []
    for before, after, layer, source in zip(steps, steps[1:], asked[1:], sources[1:], strict=False):
        if after.get(key) != before.get(key):
            joins = isinstance(final, list) and before.get(key)
            decided = [*decided, source] if joins else [source]
        elif key in layer and not _is_met(layer[key], final):
            overruled.append(source)
    return PolicyValue(key, final, tuple(decided), tuple(overruled))


def _is_met(asked: object, final: object) -> bool:
    if isinstance(asked, list) and isinstance(final, list):
        return all(item in final for item in asked)
    return asked == final


def _flat(data: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield dotted keys with values that are no tables; format and name are not rules."""
    for key, value in data.items():
        if not prefix and key in {"format", "name"}:
            continue
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
