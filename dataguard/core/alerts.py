"""Gathers findings into alerts: one for what happened in one part of a version."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from dataguard.core.chain import format_time
from dataguard.core.paths import display, json_fields
from dataguard.model.alert import Alert
from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from dataguard.model.finding import Finding, Severity

__all__ = ["LATEST_S", "QUIET_S", "SINGLE", "Gathering"]

QUIET_S = 1.0
"""How long nothing of a kind may come before it is reported."""

LATEST_S = 60.0
"""How long a kind that never stops is held back at most."""

SINGLE = 5
"""So many findings are reported one by one; more are one alert."""

_EXAMPLES = 3
_WRITERS = 5

Key = tuple[str, str, str | None, int | None, bytes]


@dataclass(slots=True)
class _Group:
    first: float
    last: float
    directory: bytes
    severity: Severity
    findings: list[Finding] = field(default_factory=list)
    writers: list[object] = field(default_factory=list)
    count: int = 0

    def add(self, finding: Finding, now: float) -> None:
        self.last = now
        self.count += 1
        self.directory = _common(self.directory, finding.path.rpartition(b"/")[0])
        self.severity = max(self.severity, finding.severity, key=lambda one: one.rank)
        if len(self.findings) < SINGLE:
            self.findings.append(finding)
        writer = finding.evidence.get("writer")
        if writer is not None and len(self.writers) < _WRITERS and writer not in self.writers:
            self.writers.append(writer)


class Gathering:
    """Findings on their way to becoming alerts; memory does not grow with their number.

    Those of one code and change below one directory of a version's root belong together, files
    in the root itself as well. Times are of one clock that never goes back, in seconds.

    Law: the counts of all alerts add up to the findings that were added.
    """

    def __init__(self) -> None:
        self._groups: dict[Key, _Group] = {}
        self._number = 0

    def __len__(self) -> int:
        return len(self._groups)

    def add(self, finding: Finding, now: float) -> None:
        """Take a finding."""
        top, below, _ = finding.path.partition(b"/")
        change = str(finding.evidence.get("change", ""))
        part = top if below else b""
        key = finding.code.name, change, finding.dataset, finding.version, part
        group = self._groups.get(key)
        if group is None:
            directory = finding.path.rpartition(b"/")[0]
            group = self._groups[key] = _Group(now, now, directory, finding.severity)
        group.add(finding, now)

    def due(self, now: float, time: datetime, *, all_of_it: bool = False) -> Iterator[Alert]:
        """Take out and yield what has been quiet for long enough, as alerts of this time."""
        for key, group in [*self._groups.items()]:
            quiet = now - group.last >= QUIET_S or now - group.first >= LATEST_S
            if quiet or all_of_it:
                del self._groups[key]
                yield from self._alerts(key, group, time)

    def _alerts(self, key: Key, group: _Group, time: datetime) -> Iterator[Alert]:
        if group.count > SINGLE:
            where = display(group.directory) if group.directory else "the root"
            change = key[1] or group.findings[0].code.title
            yield self._alert(key, group, time, f"{group.count:,} entries below {where}: {change}")
            return
        for finding in group.findings:
            alone = _Group(group.first, group.last, finding.path, finding.severity)
            alone.add(finding, group.last)
            alone.directory = finding.path
            yield self._alert(key, alone, time, finding.message)

    def _alert(self, key: Key, group: _Group, time: datetime, message: str) -> Alert:
        self._number += 1
        code, change, dataset, version, _ = key
        examples = group.findings[:_EXAMPLES]
        data = {
            "schema": "dataguard.alert/1",
            "code": code,
            "title": examples[0].code.title,
            "severity": str(group.severity),
            "dataset": dataset,
            "version": version,
            **json_fields(group.directory),
            "count": group.count,
            "change": change or None,
            "message": message,
            "remedy": examples[0].remedy,
            "first_seen": format_time(examples[0].first_seen),
            "findings": [one.id for one in examples],
            "examples": [json_fields(one.path) for one in examples],
            "writers": list(group.writers),
            "leases": examples[0].evidence.get("leases", []),
            "leases_held": examples[0].evidence.get("leases_held", 0),
        }
        name = f"{examples[0].id}-{int(time.timestamp() * 1e6):x}-{self._number:x}"
        return Alert(
            id=name,
            time=time,
            code=code,
            severity=group.severity,
            dataset=dataset,
            version=version,
            path=group.directory,
            count=group.count,
            message=message,
            data=data,
        )


def _common(one: bytes, other: bytes) -> bytes:
    """Return the deepest directory that holds both, or is both."""
    if one == other:
        return one
    parts = []
    for a, b in zip(one.split(b"/"), other.split(b"/"), strict=False):
        if a != b:
            break
        parts.append(a)
    return b"/".join(parts)
