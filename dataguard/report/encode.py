"""Results to JSON values: the fields that DESIGN fixes, by name."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import singledispatch
from typing import TYPE_CHECKING, Any, cast

from dataguard.core.chain import Event, event_line
from dataguard.core.paths import json_fields
from dataguard.core.policy_json import policy_json
from dataguard.model.dataset import Location, LocationState
from dataguard.model.digest import RootDigest
from dataguard.model.entry import Unreadable
from dataguard.model.finding import Code, Finding
from dataguard.model.gate import GateResult
from dataguard.model.mount import MountReport, MountResult, Probe
from dataguard.model.policy import Rules
from dataguard.model.policy_report import PolicyCheck
from dataguard.model.results import VersionDetails
from dataguard.model.seal import SEAL_SENTENCES, SealResult

if TYPE_CHECKING:
    from dataguard.model.dataset import Version
    from dataguard.model.seal import SealView

__all__ = ["encode", "encode_result"]

Json = dict[str, Any]

_LISTS = {
    "catalog events": "events",
    "unmount": "unmounted",
    "workspace list": "workspaces",
    "workspace remove": "unmounted",
}
"""Names of results that are lists alone, by command."""


def encode_result(command: str, value: object) -> Json:
    """Return the JSON object of a command's result, with its schema."""
    words = re.sub(r"[^a-z]+", "-", command)
    shown = encode(value)
    fields = {_LISTS.get(command, "results"): shown} if isinstance(shown, list) else shown
    return {"schema": f"dataguard.{words}/1", **fields}


@singledispatch
def encode(value: Any) -> Any:
    r"""Return a value as JSON: dataclasses by field, times as RFC 3339, paths as text.

    A path or text that is not UTF-8 is shown with `\xNN` and has `<name>_b64` beside it.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return _by_field(value)
    if isinstance(value, Mapping):
        members = (_member(str(key), item) for key, item in value.items())
        return {name: item for member in members for name, item in member.items()}
    if isinstance(value, Collection) and not isinstance(value, str):
        return [encode(item) for item in value]
    return value


@encode.register
def _(value: str) -> str:
    # Also enums of text. Lone surrogates, which stand for undecodable bytes, are no valid JSON.
    text = str(value)
    return text if text.isascii() else json_fields(_raw(text))["path"]


@encode.register
def _(value: Enum) -> Any:
    return value.name if isinstance(value, Code) else value.value


@encode.register
def _(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@encode.register
def _(value: bytes) -> str:
    return json_fields(value)["path"]


@encode.register
def _(value: RootDigest) -> str:
    return str(value)


@encode.register
def _(value: Event) -> Json:
    # As the log has it, byte for byte: somebody may want to compute the hash again.
    return cast("Json", json.loads(event_line(value)))


@encode.register
def _(value: Rules) -> Json:
    return policy_json(value)


@encode.register
def _(value: PolicyCheck) -> Json:
    return {"valid": value.valid, **_by_field(value)}


@encode.register
def _(value: Finding) -> Json:
    return {
        "id": value.id,
        "code": value.code.name,
        "severity": str(value.severity),
        "dataset": value.dataset,
        "version": value.version,
        **json_fields(value.path),
        "message": value.message,
        "remedy": value.remedy,
        "first_seen": encode(value.first_seen),
        "last_seen": encode(value.last_seen),
        "count": value.count,
        "state": str(value.state),
        "evidence": encode(value.evidence),
    }


@encode.register
def _(value: Unreadable) -> Json:
    return {**json_fields(value.path), "reason": str(value.obstacle), "detail": value.detail}


@encode.register
def _(value: Probe) -> list[Json]:
    return [encode(step) for step in value.steps]


@encode.register
def _(value: MountResult) -> Json:
    return {**_by_field(value), "guarantee_text": value.sentence}


@encode.register
def _(value: MountReport) -> Json:
    single = encode(value.mounts[0]) if len(value.mounts) == 1 else {}
    return {
        **single,
        "workspace": value.workspace,
        "mounts": encode(value.mounts),
        "dry_run": value.dry_run,
    }


@encode.register
def _(value: GateResult) -> Json:
    return {
        "allowed": value.allowed,
        "policy": value.policy,
        "checks": [encode(check) for check in value.checks],
    }


@encode.register
def _(value: SealResult) -> Json:
    return {**_by_field(value), "seal_text": SEAL_SENTENCES[value.seal]}


@encode.register
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
    }


def _version(version: Version, locations: list[Location]) -> Json:
    return {
        "dataset": version.dataset,
        "version": version.number,
        "root": str(version.root),
        "files": version.files,
        "bytes": version.bytes,
        **_member("location", locations[0].place if locations else None),
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
        **_member("location", record.place),
        "seal": str(record.kind),
        "state": str(record.state),
        "sealed_as": record.reference,
        "since": encode(record.since),
        "until": encode(record.until),
        **_member("reason", record.reason),
        "actor": encode(record.actor),
        "notice": encode(view.notice),
    }


def _by_field(value: Any) -> Json:
    found: Json = {}
    for field in fields(value):
        found |= _member(field.name, getattr(value, field.name))
    return found


def _member(name: str, value: Any) -> Json:
    """Return a value under its name, with `<name>_b64` where it is text that is not UTF-8."""
    if isinstance(value, bytes):
        return json_fields(value, name)
    if isinstance(value, str) and not value.isascii():
        return json_fields(_raw(value), name)
    return {name: encode(value)}


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
