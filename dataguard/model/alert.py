"""What goes to sinks: alerts, each for many findings of one kind, and how the watcher is."""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from dataguard.model.finding import Severity

__all__ = ["Alert", "SeenPlace", "SinkHealth", "SinkKind", "SinkSettings", "WatchStatus"]


class SinkKind(StrEnum):
    """Where findings go."""

    JSONL = "jsonl"
    SYSLOG = "syslog"
    JOURNALD = "journald"
    WEBHOOK = "webhook"
    PROMETHEUS = "prometheus"


@dataclass(frozen=True, slots=True)
class SinkSettings:
    """One table `[[sinks]]`: `target` is a file, a socket, a URL or `host:port`.

    The secret of a webhook is in a file or in a variable of the environment, never here.
    """

    kind: SinkKind
    name: str
    target: str
    secret_file: str = ""
    secret_variable: str = ""
    max_bytes: int = 64 << 20
    keep: int = 5
    sync: bool = True
    timeout_s: float = 10.0
    limit: int = 10_000


@dataclass(frozen=True, slots=True)
class Alert:
    """Findings of one kind in one part of a version, as one message.

    `path` is the file, or the directory that holds all of them. `data` is the same for programs:
    JSON values only. The id is that of the alert, and new for each.
    """

    id: str
    time: datetime
    code: str
    severity: Severity
    dataset: str | None
    version: int | None
    path: bytes
    count: int
    message: str
    data: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SinkHealth:
    """How a sink is: why it does not take alerts (empty: it does), what waits, what was dropped."""

    name: str
    trouble: str = ""
    waiting: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class SeenPlace:
    """One watched place: `source` and `filesystem` are empty where nothing watches it now."""

    root: bytes
    version: str
    source: str
    filesystem: str
    blind: bool


@dataclass(frozen=True, slots=True)
class WatchStatus:
    """How a watcher is.

    `open_findings` are counts by dataset, code and severity, `audit_ages_s` seconds since the last
    audit by dataset and version, `blind` the watched roots of which something is not seen now.
    """

    time: datetime
    watched: int
    blind: int
    events: int
    traceless: int
    suppressed: int
    gaps: int
    reconciles: int
    lag_s: float
    open_findings: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    audit_ages_s: Mapping[tuple[str, int], float] = field(default_factory=dict)
    sinks: tuple[SinkHealth, ...] = ()
    places: tuple[SeenPlace, ...] = ()
