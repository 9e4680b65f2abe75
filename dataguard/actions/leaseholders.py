"""Who uses the versions that a watcher's findings are about, as evidence in each finding."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.actions.leases import leases_of
from dataguard.core.chain import format_time
from dataguard.core.leasewords import lease_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from dataguard.actions.context import Context
    from dataguard.model.finding import Finding
    from dataguard.model.lease import Lease

__all__ = ["LeaseHolders"]

_FRESH_S = 2.0
_NAMED = 10
"""Leases that stand in a finding; of more the number is told."""


class LeaseHolders:
    """Adds to findings which leases of their version hold now; asked again after two seconds."""

    def __init__(self, ctx: Context, timer: Callable[[], float]) -> None:
        self._ctx = ctx
        self._timer = timer
        self._known: dict[tuple[str, int], tuple[float, Mapping[str, object]]] = {}

    def named(self, findings: Iterable[Finding]) -> tuple[Finding, ...]:
        """Return the findings, those of versions in use with `leases` in their evidence.

        Raises:
            DataguardError: the catalog cannot be read.
        """
        return tuple(self._named(one) for one in findings)

    def _named(self, finding: Finding) -> Finding:
        if finding.dataset is None or finding.version is None:
            return finding
        users = self._users(finding.dataset, finding.version)
        return replace(finding, evidence={**finding.evidence, **users}) if users else finding

    def _users(self, dataset: str, number: int) -> Mapping[str, object]:
        now = self._timer()
        asked, users = self._known.get((dataset, number), (float("-inf"), {}))
        if now - asked >= _FRESH_S:
            version = self._ctx.catalog.version(dataset, number)
            users = _evidence([one for one in leases_of(self._ctx, version) if one.holds])
            self._known[dataset, number] = now, users
        return users


def _evidence(leases: list[Lease]) -> Mapping[str, object]:
    if not leases:
        return {}
    return {"leases": [_shown(one) for one in leases[:_NAMED]], "leases_held": len(leases)}


def _shown(lease: Lease) -> dict[str, object]:
    return {
        "kind": str(lease.kind),
        "state": str(lease.state),
        "subject": lease.subject,
        "user": lease.user,
        "host": lease.host,
        "since": format_time(lease.since),
        "workspace": lease.workspace,
        "words": lease_words(lease),
    }
