"""What a watcher's terminal shows: its state as lines of a width and number; pure."""

from __future__ import annotations

from collections import deque
from dataclasses import field
from typing import TYPE_CHECKING

from dataguard.core.chain import format_time
from dataguard.core.paths import display, escape
from dataguard.model.dataclass import dataclass
from dataguard.model.finding import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.model.alert import Alert, SeenPlace, WatchStatus

__all__ = ["WatchView"]

_ALERTS = 100
_DIRECTORIES = 1_000
_SHOWN_DIRECTORIES = 8
_SHOWN_CODES = 8
_BOLD, _RED, _YELLOW, _PLAIN = "\x1b[1m", "\x1b[31m", "\x1b[33m", "\x1b[0m"
_STYLES = {Severity.INFO: "", Severity.WARNING: _YELLOW}

_Directory = tuple[str, str]
"""The dataset with its version and the directory, as they are shown."""

Line = tuple[str, str]
"""A style, and the text."""


@dataclass(slots=True)
class WatchView:
    """What was told so far, as far as a terminal has room for it; memory is bounded."""

    status: WatchStatus | None = None
    remark: str = ""
    alerts: deque[Alert] = field(default_factory=lambda: deque(maxlen=_ALERTS))
    _directories: dict[_Directory, tuple[int, str]] = field(default_factory=dict)

    def add(self, alert: Alert) -> None:
        """Take an alert."""
        self.alerts.append(alert)
        version = "" if alert.dataset is None else f"{alert.dataset}@{alert.version}"
        directory = alert.path if alert.count > 1 else alert.path.rpartition(b"/")[0]
        key = version, display(directory) or "(root)"
        count, _ = self._directories.pop(key, (0, ""))
        self._directories[key] = count + alert.count, alert.code  # the newest stands last
        if len(self._directories) > _DIRECTORIES:
            del self._directories[next(iter(self._directories))]

    def lines(self, columns: int, rows: int, *, color: bool) -> list[str]:
        """Return what fits, in lines no wider than the terminal; the newest alerts stand last.

        Law: at most `rows` lines, each of at most `columns` characters beside its style.
        """
        head = [*self._head(), *self._places(), *self._open(), *self._where(), *self._sinks()]
        room = max(rows - len(head) - 1, 1)
        latest = [*self.alerts][-room:]
        tail = [(_BOLD, "last alerts"), *map(_alert, latest)] if latest else []
        kept = [*head[: max(rows - len(tail), 0)], *tail][:rows]
        return [_styled(style, text[:columns], color=color) for style, text in kept]

    def _head(self) -> Iterator[Line]:
        status = self.status
        if status is None:
            yield _BOLD, "dataguard watch: starting"
        else:
            yield _BOLD, f"dataguard watch  {format_time(status.time)[:19]}Z"
            seen = f"watching {status.watched} places, {status.blind} of them not in full"
            counts = f"{status.events:,} events, {status.gaps:,} gaps, {status.lag_s:.1f} s behind"
            yield _RED if status.blind else "", f"{seen}; {counts}"
        if self.remark:
            yield _YELLOW, escape(self.remark)

    def _places(self) -> Iterator[Line]:
        if self.status is not None and self.status.places:
            yield _BOLD, "places"
            yield from map(_place, self.status.places)

    def _open(self) -> Iterator[Line]:
        if self.status is None or not self.status.open_findings:
            return
        yield _BOLD, "open findings"
        found = sorted(self.status.open_findings.items(), key=lambda one: -one[1])
        for (dataset, code, severity), count in found[:_SHOWN_CODES]:
            yield _STYLES.get(Severity(severity), _RED), f"  {count:>9,} {code} {escape(dataset)}"

    def _where(self) -> Iterator[Line]:
        if self._directories:
            yield _BOLD, "told since it began, by directory"
            newest = [*self._directories.items()][-_SHOWN_DIRECTORIES:]
            for (version, directory), (count, code) in reversed(newest):
                yield "", f"  {count:>9,} {code} {escape(version)} {directory}"

    def _sinks(self) -> Iterator[Line]:
        for one in () if self.status is None else self.status.sinks:
            if one.trouble or one.dropped:
                trouble = f"sink {one.name}: {one.waiting} waiting, {one.dropped} dropped"
                yield _YELLOW, f"{trouble}; {escape(one.trouble)}"


def _place(one: SeenPlace) -> Line:
    seen = "NOT SEEN IN FULL" if one.blind else "seen"
    source = f"{one.source} on {one.filesystem}" if one.source else "no source"
    return _RED if one.blind else "", f"  {one.version}  {display(one.root)}  {source}: {seen}"


def _alert(one: Alert) -> Line:
    place = "" if one.dataset is None else f"{one.dataset}@{one.version} "
    where = f"{place}{display(one.path)}"
    text = f"  {one.time:%H:%M:%S}Z {one.count:>7,}x {one.code} {where}: {escape(one.message)}"
    return _STYLES.get(one.severity, _RED), text


def _styled(style: str, text: str, *, color: bool) -> str:
    return f"{style}{text}{_PLAIN}" if color and style else text
