"""What a watcher found, on its way: printed, gathered for sinks, recorded, acted upon."""

from __future__ import annotations

from collections import Counter
from dataclasses import field
from typing import TYPE_CHECKING

from dataguard.actions.findings import content_codes, every_finding
from dataguard.actions.reaction import SiteCommand, quarantine_for
from dataguard.actions.recording import BATCH, record_findings
from dataguard.core.alerts import Gathering
from dataguard.core.traces import Known
from dataguard.model.alert import Alert
from dataguard.model.audit import AuditLevel
from dataguard.model.dataclass import dataclass
from dataguard.model.finding import Code, FindingState, Severity, fingerprint
from dataguard.sinks.choose import open_delivery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from dataguard.actions.context import Context
    from dataguard.actions.watched import Watched
    from dataguard.model.alert import SinkHealth, SinkSettings, WatchStatus
    from dataguard.model.finding import Finding
    from dataguard.sinks.delivery import Delivery

__all__ = ["Outlets", "Telling"]

_UNRECORDED_S = 0.3
_PATHS = 1_000
"""Paths of which the findings are looked up at once: some thousand ids."""

_STANDING = (FindingState.OPEN, FindingState.ACKNOWLEDGED)


@dataclass(frozen=True, slots=True)
class Outlets:
    """Where the words of a watcher go: `findings` one by one, `alerts` gathered, `remarks`.

    `status` takes how the watcher is, where somebody looks on.
    """

    findings: Callable[[Sequence[Finding]], None]
    alerts: Callable[[Sequence[Alert]], None]
    remark: Callable[[str], None]
    status: Callable[[WatchStatus], None] | None = None


@dataclass(slots=True)
class Telling:
    """Tells news once, in this order: printed, kept for the sinks, recorded.

    Whoever is killed in between tells it again the next time, and never not at all.
    """

    ctx: Context
    outlets: Outlets
    timer: Callable[[], float]
    known: Known = field(default_factory=Known)
    gathering: Gathering = field(default_factory=Gathering)
    deliveries: list[Delivery] = field(default_factory=list)
    _command: SiteCommand | None = None
    _health: dict[str, tuple[bool, int]] = field(default_factory=dict)
    _oldest: datetime | None = None
    _unrecorded: list[Finding] = field(default_factory=list)
    _since: float = 0.0
    _unanswered: tuple[Finding, ...] = ()

    def open(self, sinks: Iterable[SinkSettings]) -> None:
        """Open the sinks, and deliver what an earlier watcher left for them.

        Raises:
            StoreUnreachableError: the home takes no outbox.
        """
        home = self.ctx.settings.home.value
        for settings in sinks:
            self.deliveries.append(open_delivery(settings, home))
        rules = self.ctx.policy.watch
        timeout_s = rules.command_timeout.total_seconds()
        self._command = SiteCommand(rules.command, timeout_s, self.outlets.remark)

    def learn(self, watched: Watched, told: datetime | None) -> None:
        """Take note of what is known of a version; what came after `told` goes to the sinks."""
        version = watched.version
        for one in every_finding(self.ctx, version.dataset, version.number, states=_STANDING):
            self.known.add(one)
            if told is not None and one.last_seen > told:
                self._gather(one)

    def tell(self, findings: Iterable[Finding]) -> tuple[Finding, ...]:
        """Tell what is news, and record it; return that."""
        now = self.ctx.clock().timestamp()
        news = tuple(one for one in findings if self.known.add(one, now))
        if not news:
            return ()
        self.outlets.findings(news)
        for one in news:
            self._gather(one)
        # Before the record: what was recorded is no news after a crash, and nobody would react.
        self._react(news)
        self._keep(news)
        return news

    def tell_gaps(self, gaps: Sequence[Finding]) -> None:
        """Tell what could not be seen, whether or not it was told before, and record it."""
        self.outlets.findings(gaps)
        for one in gaps:
            self._gather(one)
        self._react(gaps)
        self._keep(gaps)

    def record(self) -> None:
        """Record what was told and is not recorded yet.

        A burst would otherwise wait for the disk at every few findings.
        """
        if self._unrecorded:
            found, self._unrecorded = self._unrecorded, []
            record_findings(self.ctx, found)

    def _keep(self, findings: Sequence[Finding]) -> None:
        if not self._unrecorded:
            self._since = self.timer()
        self._unrecorded += findings
        if len(self._unrecorded) >= BATCH:
            self.record()

    def _react(self, news: Sequence[Finding]) -> None:
        """Do what the policy wants, also where the catalog was busy the last time."""
        done, self._unanswered = quarantine_for(self.ctx, (*self._unanswered, *news))
        for reference in done:
            self.outlets.remark(f"{reference} is quarantined now: dataguard show {reference}")

    def open_findings(self, versions: Iterable[tuple[str, int]]) -> dict[tuple[str, str, str], int]:
        """Count the open findings of versions, by dataset, code and severity."""
        counts: Counter[tuple[str, str, str]] = Counter()
        for dataset, number in versions:
            found = self.ctx.catalog.count_findings(dataset, number, FindingState.OPEN)
            for (code, severity), count in found.items():
                counts[dataset, code, severity] += count
        return dict(counts)

    def settled(self, watched: Watched, paths: Iterable[bytes], *, time: datetime) -> None:
        """Take note of paths that were as they should be: what was open there is resolved."""
        dataset, number = watched.version.dataset, watched.version.number
        told: list[bytes] = []
        for path in paths:
            if self.known.knows(dataset, number, path):
                told.append(path)
            self.known.settle(dataset, number, path, time)
        if told:
            self.record()
        self._resolve(dataset, number, told, _AT_A_PATH, "it is as it was registered")

    def no_copies(
        self, versions: Iterable[tuple[str, int]], paths: Sequence[bytes], *, time: datetime
    ) -> None:
        """Take note of absolute paths that are no copies: what was told of them is resolved."""
        for dataset, number in versions:
            told = [path for path in paths if self.known.knows(dataset, number, path)]
            for path in told:
                self.known.settle(dataset, number, path, time)
            if told:
                self.record()
            self._resolve(dataset, number, told, (Code.DG201,), "it is no copy any more")

    def _resolve(
        self, dataset: str, number: int, paths: Sequence[bytes], codes: Iterable[Code], why: str
    ) -> None:
        """Resolve what is open at some paths, a transaction a batch."""
        for start in range(0, len(paths), _PATHS):
            part = paths[start : start + _PATHS]
            ids = [fingerprint(code, dataset, number, path) for path in part for code in codes]
            self._resolve_open(ids, why)

    def _resolve_open(self, ids: Sequence[str], why: str) -> None:
        gone = [
            one for one in self.ctx.catalog.findings_by_id(ids) if one.state is FindingState.OPEN
        ]
        if gone:
            with self.ctx.catalog.transaction() as tx:
                tx.resolve_unseen(gone, f"watch: {why}")

    def pulse(self, *, all_of_it: bool = False) -> None:
        """Send what was gathered for long enough, and look after the sinks."""
        alerts = tuple(self.gathering.due(self.timer(), self.ctx.clock(), all_of_it=all_of_it))
        if alerts:
            self._send(alerts)
        if not len(self.gathering):
            self._oldest = None
        self._check_sinks()
        if self._unanswered:
            self._react(())
        # Last: where the catalog's disk is full, the sinks have been told all the same.
        if self._unrecorded and (all_of_it or self.timer() - self._since >= _UNRECORDED_S):
            self.record()

    @property
    def is_holding(self) -> bool:
        """Whether something that was told waits to be sent, recorded or acted upon."""
        return bool(len(self.gathering) or self._unrecorded or self._unanswered)

    @property
    def told(self) -> datetime:
        """Up to when everything was handed to the outboxes."""
        return self._oldest or self.ctx.clock()

    @property
    def health(self) -> tuple[SinkHealth, ...]:
        """How the sinks are."""
        return tuple(one.health for one in self.deliveries)

    def note(self, status: WatchStatus) -> None:
        """Give the sinks the newest status."""
        for one in self.deliveries:
            one.note(status)
        if self.outlets.status is not None:
            self.outlets.status(status)

    def close(self) -> None:
        """Send what was gathered, and end the sinks; say which of them took nothing."""
        try:
            self.pulse(all_of_it=True)
        finally:
            for one in self.deliveries:
                one.close()
            if self._command is not None:
                self._command.close()
            self._check_sinks()

    def _gather(self, finding: Finding) -> None:
        self._oldest = self._oldest or finding.last_seen
        self.gathering.add(finding, self.timer())

    def _send(self, alerts: Sequence[Alert]) -> None:
        self.outlets.alerts(alerts)
        for one in self.deliveries:
            one.send(alerts)
        if self._command is not None:
            self._command.run(alerts)

    def _check_sinks(self) -> None:
        """Say on the other sinks, and on stderr, which sink takes nothing or lost something."""
        for one in self.deliveries:
            health = one.health
            was_bad, dropped = self._health.get(health.name, (False, health.dropped))
            is_bad = bool(health.trouble)
            if is_bad and not was_bad:
                self._report(one, f"sink `{health.name}` takes no alerts: {health.trouble}")
            elif was_bad and not is_bad:
                self._report(one, f"sink `{health.name}` takes alerts again")
            if health.dropped > dropped:
                lost = health.dropped - dropped
                self._report(one, f"sink `{health.name}`: {lost} alerts were dropped, unsent")
            self._health[health.name] = is_bad, health.dropped

    def _report(self, sick: Delivery, message: str) -> None:
        self.outlets.remark(message)
        now = self.ctx.clock()
        data = {"schema": "dataguard.alert/1", "code": "sink", "sink": sick.name}
        data |= {"severity": "warning", "message": message}
        name = f"sink-{sick.name}-{int(now.timestamp() * 1e6):x}"
        alert = Alert(name, now, "sink", Severity.WARNING, None, None, b"", 1, message, data)
        for one in self.deliveries:
            if one is not sick or not one.health.trouble:
                one.send((alert,))


_AT_A_PATH = (Code.DG301, *content_codes(AuditLevel.QUICK))
