"""Decide whether a job may start: pure, and closed where a fact is not known."""

from __future__ import annotations

import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dataguard.core.areas import check_output_place
from dataguard.core.exemptions import exemption_for
from dataguard.core.gate_inputs import check_input
from dataguard.model.finding import Severity
from dataguard.model.gate import Check, GateResult

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from dataguard.model.gate import CatalogFacts, GateFacts, OutputFacts
    from dataguard.model.policy import Policy

__all__ = ["catalog_identity", "decide", "gate"]


def gate(facts: GateFacts, policy: Policy) -> GateResult:
    """Return the decision with everything it rests on."""
    return GateResult(facts, decide(facts, policy), policy.name)


def decide(facts: GateFacts, policy: Policy) -> tuple[Check, ...]:
    """Return every check: the catalog, then input by input, then output by output."""
    return tuple(_checks(facts, policy))


def catalog_identity(url: str) -> str:
    """Return what makes two database URLs the same catalog: all but driver, user and password."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2].lower()
    path = posixpath.normpath(parts.path)
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme.partition('+')[0]}://{place}{path}{query}"


def _checks(facts: GateFacts, policy: Policy) -> Iterator[Check]:
    yield _check_catalog(facts.catalog, policy)
    for an_input in facts.inputs:
        dataset = None if an_input.version is None else an_input.version.dataset
        for check in check_input(an_input, policy, facts.now):
            yield _weigh(check, policy, dataset=dataset, path=b"", now=facts.now)
    datasets = tuple(i.version.dataset for i in facts.inputs if i.version is not None)
    for output in facts.outputs:
        check = _check_output(output, facts, policy, datasets)
        path = (output.aliases or (output.place,))[0].encode("utf-8", "surrogateescape")
        yield _weigh(check, policy, dataset=None, path=path, now=facts.now)


def _check_catalog(catalog: CatalogFacts, policy: Policy) -> Check:
    rules = policy.catalog
    used = catalog_identity(catalog.url)
    if any(catalog_identity(url) != used for url in rules.url):
        wanted = " and ".join(f"`{catalog_identity(url)}`" for url in rules.url)
        reason = f"policy `{policy.name}` names the catalog {wanted}, this one is `{used}`"
        return Check("catalog", ok=False, reason=reason, remedy="name it with --catalog")
    home = posixpath.normpath(catalog.home)
    if any(posixpath.normpath(named) != home for named in rules.home):
        wanted = " and ".join(f"`{named}`" for named in rules.home)
        reason = f"policy `{policy.name}` names the home {wanted}, this one is `{home}`"
        return Check("catalog", ok=False, reason=reason, remedy="set DATAGUARD_HOME to it")
    named = "the one the policy names" if rules.url or rules.home else "no policy names another"
    return Check("catalog", ok=True, reason=f"`{used}`: {named}")


def _check_output(
    output: OutputFacts, facts: GateFacts, policy: Policy, datasets: tuple[str, ...]
) -> Check:
    placement = check_output_place(output, policy, facts.places, datasets)
    return Check(
        "output place",
        ok=placement.code is None,
        reason=placement.reason,
        code=placement.code,
        subject=output.place,
        remedy="" if placement.code is None else placement.code.remedy,
    )


def _weigh(
    check: Check, policy: Policy, *, dataset: str | None, path: bytes, now: datetime
) -> Check:
    """Let a refusal pass that the policy exempts or rates below `error`, and say so."""
    if check.ok or check.code is None:
        return check
    exemption = exemption_for(policy, check.code, dataset=dataset, path=path, now=now)
    if exemption is not None:
        said = f"{check.reason}; exempt until {exemption.expires}: {exemption.reason}"
        return replace(check, ok=True, reason=said, enforced=False)
    severity = policy.severity_of(check.code)
    if severity.rank < Severity.ERROR.rank:
        said = f"{check.reason}; policy `{policy.name}` makes {check.code.name} only {severity}"
        return replace(check, ok=True, reason=said, enforced=False)
    return check
