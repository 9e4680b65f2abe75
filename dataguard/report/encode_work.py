"""JSON of what gates and mounts say."""

from __future__ import annotations

from dataguard.model.gate import GateResult
from dataguard.model.mount import Probe
from dataguard.model.results.mount import MountReport, MountResult
from dataguard.report.encode import Json, by_field, encode

__all__: list[str] = []


@encode.register(Probe)
def _(value: Probe) -> list[Json]:
    return [encode(step) for step in value.steps]


@encode.register(MountResult)
def _(value: MountResult) -> Json:
    return {**by_field(value), "guarantee_text": value.sentence}


@encode.register(MountReport)
def _(value: MountReport) -> Json:
    single = encode(value.mounts[0]) if len(value.mounts) == 1 else {}
    return {
        **single,
        "workspace": value.workspace,
        "mounts": encode(value.mounts),
        "dry_run": value.dry_run,
    }


@encode.register(GateResult)
def _(value: GateResult) -> Json:
    return {
        "allowed": value.allowed,
        "policy": value.policy,
        "checks": [encode(check) for check in value.checks],
    }
