"""By what a finding is told from another one of the same path: the state that was seen."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from datetime import datetime

    from dataguard.model.finding import Finding

__all__ = ["Known", "place_of", "trace_of"]

_STATE = (
    *("observed_digest", "observed_size", "kind", "size", "mtime_ns", "ctime_ns", "inode"),
    *("mode", "uid", "gid", "nlink"),
)


def place_of(dataset: str | None, version: int | None, path: bytes) -> bytes:
    """Return what stands for a path of a version."""
    text = f"{dataset}\n{version}\n".encode()
    return hashlib.blake2b(text + path, digest_size=8).digest()


def trace_of(finding: Finding) -> bytes:
    """Return what stands for the state of which a finding speaks, whoever saw it.

    A write that a watcher saw (DG301) and the difference that a comparison finds later have one
    trace; the same file changed once more has another.
    """
    evidence = finding.evidence
    code = str(evidence.get("finding", finding.code.name))
    state = "\n".join((code, *(_plain(evidence, name) for name in _STATE)))
    return hashlib.blake2b(state.encode(), digest_size=8).digest()


class Known:
    """The states that were reported, by path; two hundred bytes for each."""

    def __init__(self) -> None:
        self._told: dict[bytes, _Told] = {}

    def add(self, finding: Finding, now: float = math.inf) -> bool:
        """Take note of a finding; return whether its state is news.

        What was seen before something else was told of the same path is none: a comparison may
        have come to a file while somebody was still writing it. What was told later than `now` was
        told before the clock was set back, and says nothing of what came first.
        """
        told = self._told.setdefault(_place(finding), _Told())
        if told.time > now:
            told.time = 0.0
        trace, time = trace_of(finding), finding.last_seen.timestamp()
        if told.holds(trace) or time < told.time:
            return False
        if not finding.code.is_gap and not _is_hazard(finding):
            told.traces = b""  # what was before is past, and news if it comes back
            told.time = time
        told.traces += trace
        return True

    def knows(self, dataset: str, version: int, path: bytes) -> bool:
        """Whether anything was reported at a path."""
        told = self._told.get(place_of(dataset, version, path))
        return told is not None and bool(told.traces)

    def settle(self, dataset: str, version: int, path: bytes, time: datetime) -> None:
        """Take note that nothing differs at a path: whatever is seen from now on is news."""
        self._told[place_of(dataset, version, path)] = _Told(time.timestamp())

    def tidy(self) -> None:
        """Forget the paths at which nothing differs."""
        for place in [place for place, told in self._told.items() if not told.traces]:
            del self._told[place]


@dataclass(slots=True)
class _Told:
    """When something was last told of a path, and the traces of what stands, joined."""

    time: float = 0.0
    traces: bytes = b""

    def holds(self, trace: bytes) -> bool:
        """Whether a trace is among them."""
        size = len(trace)
        return any(self.traces[at : at + size] == trace for at in range(0, len(self.traces), size))


def _place(finding: Finding) -> bytes:
    return place_of(finding.dataset, finding.version, finding.path)


def _is_hazard(finding: Finding) -> bool:
    return finding.code.name in ("DG108", "DG109")


def _plain(evidence: Mapping[str, object], name: str) -> str:
    """Return a member as one text, whoever saw it and whether or not it was recorded since."""
    value = evidence.get(name)
    if isinstance(value, str | int) or value is None:
        return str(value)
    return json.dumps(dict(value) if isinstance(value, Mapping) else value, sort_keys=True)
