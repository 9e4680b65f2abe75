"""JSON of versions and their seals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.model.dataset import LocationState
from dataguard.model.results.show import VersionDetails
from dataguard.model.seal import SEAL_SENTENCES, SealResult
from dataguard.report.encode import Json, by_field, encode, member

if TYPE_CHECKING:
    from dataguard.model.dataset import Location, Version
    from dataguard.model.seal import SealView

__all__: list[str] = []


@encode.register(SealResult)
def _(value: SealResult) -> Json:
    return {**by_field(value), "seal_text": SEAL_SENTENCES[value.seal]}


@encode.register(VersionDetails)
def _(value: VersionDetails) -> Json:
    active = [one for one in value.locations if one.state is LocationState.ACTIVE]
    return {
        **_version(value.version, (active or list(value.locations))[:1]),
        "locations": encode(value.locations),
        "tags": [tag.name for tag in value.tags],
        "guarantee": value.guarantee,
        "mounts": encode(value.mounts),
        "leases": encode(value.leases),
        "last_audit": encode(value.last_audit),
        "runs": [
            {"run": run.id, "state": str(run.state), "started": encode(run.started)}
            for run in value.runs
        ],
        "open_findings": value.open_findings,
        "seal": value.seals[0].word if value.seals else "none",
        "seals": [_seal(one) for one in value.seals],
        "canaries": encode(value.canaries),
    }


def _version(version: Version, locations: list[Location]) -> Json:
    return {
        "dataset": version.dataset,
        "version": version.number,
        "root": str(version.root),
        "files": version.files,
        "bytes": version.bytes,
        **member("location", locations[0].place if locations else None),
        "state": str(version.state),
        "state_reason": version.state_reason,
        "entries": version.entries,
        "algorithm": str(version.algorithm),
        "strength": str(version.algorithm.strength),
        "created": encode(version.created),
        "actor": encode(version.actor),
        "note": version.note,
        "exclude": list(version.exclude),
        "metadata": dict(version.metadata),
    }


def _seal(view: SealView) -> Json:
    record = view.record
    return {
        **member("location", record.place),
        "seal": str(record.kind),
        "state": str(record.state),
        "sealed_as": record.reference,
        "since": encode(record.since),
        "until": encode(record.until),
        **member("reason", record.reason),
        "actor": encode(record.actor),
        "notice": encode(view.notice),
    }
