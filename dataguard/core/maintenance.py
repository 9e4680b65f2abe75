"""Which time of maintenance a dataset is in."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from dataguard.model.policy import Maintenance, Policy

__all__ = ["maintenance_of"]


def maintenance_of(policy: Policy, dataset: str, now: datetime) -> Maintenance | None:
    """Return the maintenance that is in force for a dataset, or None."""
    for one in policy.watch.maintenance:
        if one.since <= now < one.until and fnmatchcase(dataset, one.dataset):
            return one
    return None
