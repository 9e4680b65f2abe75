"""Alerts and the state of a watcher, for tests of sinks."""

from __future__ import annotations

from datetime import UTC, datetime

from dataguard.model.alert import Alert, SinkHealth, SinkKind, SinkSettings, WatchStatus
from dataguard.model.finding import Severity

__all__ = ["alert", "settings", "status"]

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def alert(number, *, path=b"dir/a", severity=Severity.ERROR):
    """An alert that is told by its number."""
    data = {"schema": "dataguard.alert/1", "code": "DG301", "number": number}
    return Alert(
        id=f"alert-{number}",
        time=NOW,
        code="DG301",
        severity=severity,
        dataset="faces",
        version=3,
        path=path,
        count=number,
        message="the content was changed",
        data=data,
    )


def settings(kind, target, **more):
    return SinkSettings(SinkKind(kind), str(kind), str(target), **more)


def status(**more):
    values = {
        "time": NOW,
        "watched": 2,
        "blind": 1,
        "events": 10,
        "traceless": 1,
        "suppressed": 0,
        "gaps": 3,
        "reconciles": 4,
        "lag_s": 0.5,
        "open_findings": {('fa"ces', "DG301", "error"): 7},
        "audit_ages_s": {("faces", 3): 60.0},
        "sinks": (SinkHealth("hook", "down", 2, 1),),
    }
    return WatchStatus(**values | more)
