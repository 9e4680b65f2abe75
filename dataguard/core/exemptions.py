"""Which findings a policy bears for a while."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from dataguard.model.finding import Severity

if TYPE_CHECKING:
    from datetime import datetime

    from dataguard.model.finding import Code, Finding
    from dataguard.model.policy import Exemption, Policy

__all__ = ["exempted", "exemption_for"]


def exemption_for(
    policy: Policy, code: Code, *, dataset: str | None, path: bytes, now: datetime
) -> Exemption | None:
    """Return the exemption that covers a finding, or None.

    `dataset` is None and `path` absolute outside every version; `path` is empty for a version as
    a whole, which only exemptions without a path cover.
    """
    for exemption in policy.exemption:
        in_force = code.name in exemption.codes and now.date() <= exemption.expires
        if in_force and _covers_dataset(exemption, dataset) and _covers_path(exemption, path):
            return exemption
    return None


def exempted(policy: Policy, finding: Finding) -> Finding:
    """Return a finding that was just seen; what the policy bears is information, and says why."""
    exemption = exemption_for(
        policy,
        finding.code,
        dataset=finding.dataset,
        path=finding.path,
        now=finding.last_seen,
    )
    if exemption is None:
        return finding
    reason = f"{exemption.reason} (until {exemption.expires})"
    evidence = {**finding.evidence, "exempted": reason}
    return replace(finding, severity=Severity.INFO, evidence=evidence)


def _covers_dataset(exemption: Exemption, dataset: str | None) -> bool:
    if dataset is None:
        return exemption.dataset == "*"
    return fnmatchcase(dataset, exemption.dataset)


def _covers_path(exemption: Exemption, path: bytes) -> bool:
    if exemption.path is None:
        return True
    from pathspec import GitIgnoreSpec  # noqa: PLC0415  only where an exemption names paths

    text = path.decode("utf-8", "surrogateescape").lstrip("/")
    return bool(text) and GitIgnoreSpec.from_lines([exemption.path]).match_file(text)
