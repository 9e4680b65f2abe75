"""Records of canary writes, refused unless said otherwise."""

from __future__ import annotations

from dataguard.core.canary import credential_hash
from dataguard.model.canary import OPERATIONS, Caller, CanaryRecord
from dataguard.model.mount import Probe, ProbeOutcome, ProbeStep
from support.gatefacts import ACTOR, NOW

__all__ = ["canary"]


def canary(changed=(), **fields) -> CanaryRecord:
    """A record in which every attempt was refused, but for those that are `changed`."""
    results = dict.fromkeys(OPERATIONS, ProbeOutcome.REFUSED) | dict(changed)
    values = {
        "place": "s3://data/gold",
        "endpoint": "",
        "caller": Caller(credential_hash("AKIA"), "AK...IA"),
        "verified": NOW,
        "probe": Probe(tuple(ProbeStep(name, result, "") for name, result in results.items())),
        "actor": ACTOR,
    }
    return CanaryRecord(**(values | fields))
