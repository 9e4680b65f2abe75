"""Results to JSON values: the fields that DESIGN fixes, by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import singledispatch
from typing import TYPE_CHECKING, Any

from dataguard.core.paths import json_fields
from dataguard.model.dataset import Location, LocationState
from dataguard.model.digest import RootDigest
from dataguard.model.entry import Unreadable
from dataguard.model.finding import Code, Finding
from dataguard.model.gate import GateResult
from dataguard.model.mount import GUARANTEE_SENTENCES, MountReport, MountResult, Probe
from dataguard.model.results import VersionDetails

if TYPE_CHECKING:
    from dataguard.model.dataset import Version

__all__ = ["encode", "encode_result"]

Json = dict[str, Any]


def encode_result(command: str, value: object) -> Json:
    """Return the JSON object of a command's result, with its schema."""
    words = re.sub(r"[^a-z]+", "-", command)
    shown = encode(value)
    fields = {"results": shown} if isinstance(shown, list) else shown
    return {"schema": f"dataguard.{words}/1", **fields}


@singledispatch
def encode(value: Any) -> Any:
    """Return a value as JSON: dataclasses by field, times as RFC 3339, paths as text.

    A path that is not UTF-8 has `<name>_b64` beside it.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return _by_field(value)
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [encode(item) for item in value]
    return value


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
    return {**_by_field(value), "guarantee_text": GUARANTEE_SENTENCES[value.guarantee]}


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
def _(value: VersionDetails) -> Json:
    active = [one for one in value.locations if one.state is LocationState.ACTIVE]
    return {
        **_version(value.version, (active or list(value.locations))[:1]),
        "locations": encode(value.locations),
        "tags": [tag.name for tag in value.tags],
        "guarantee": value.guarantee,
        "mounts": encode(value.mounts),
        "last_audit": encode(value.last_audit),
        "runs": [
            {"run": run.id, "state": str(run.state), "started": encode(run.started)}
            for run in value.runs
        ],
        "open_findings": value.open_findings,
    }


def _version(version: Version, locations: list[Location]) -> Json:
    return {
        "dataset": version.dataset,
        "version": version.number,
        "root": str(version.root),
        "files": version.files,
        "bytes": version.bytes,
        "location": locations[0].place if locations else None,
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


def _by_field(value: Any) -> Json:
    found: Json = {}
    for field in fields(value):
        item = getattr(value, field.name)
        if isinstance(item, bytes):
            found |= json_fields(item, field.name)
        else:
            found[field.name] = encode(item)
    return found
