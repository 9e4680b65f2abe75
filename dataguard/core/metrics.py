"""How a watcher is, in the text format of Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dataguard.model.alert import WatchStatus

__all__ = ["metrics_text"]

Sample = tuple[dict[str, str], float]


def metrics_text(status: WatchStatus) -> str:
    """Return all metrics, ending with a newline."""
    return "".join(f"{line}\n" for line in _lines(status))


def _lines(status: WatchStatus) -> Iterator[str]:
    plain: tuple[tuple[str, str, str, float], ...] = (
        ("up", "gauge", "1 while the watcher runs", 1),
        ("updated_seconds", "gauge", "when this was written", status.time.timestamp()),
        ("watched_roots", "gauge", "locations that are watched", status.watched),
        ("blind_roots", "gauge", "locations of which something is not seen now", status.blind),
        ("events_total", "counter", "events that were seen", status.events),
        ("traceless_total", "counter", "paths looked at that did not differ", status.traceless),
        ("suppressed_total", "counter", "events during maintenance", status.suppressed),
        ("gaps_total", "counter", "times that events were lost or not to be had", status.gaps),
        ("reconciles_total", "counter", "whole comparisons", status.reconciles),
        ("lag_seconds", "gauge", "age of the oldest event that waits", status.lag_s),
    )
    for name, kind, text, value in plain:
        yield from _metric(f"dataguard_watch_{name}", kind, text, [({}, value)])
    yield from _metric(
        "dataguard_findings_open",
        "gauge",
        "open findings",
        _by(("dataset", "code", "severity"), status.open_findings),
    )
    yield from _metric(
        "dataguard_audit_age_seconds",
        "gauge",
        "age of the last audit",
        _by(("dataset", "version"), status.audit_ages_s),
    )
    for name, text in (
        ("up", "whether the sink takes alerts"),
        ("waiting", "alerts that wait for it"),
        ("dropped_total", "alerts that it will never get"),
    ):
        samples = [
            (
                {"sink": one.name},
                float({"up": not one.trouble, "waiting": one.waiting}.get(name, one.dropped)),
            )
            for one in status.sinks
        ]
        kind = "counter" if name.endswith("_total") else "gauge"
        yield from _metric(f"dataguard_sink_{name}", kind, text, samples)


def _by(
    names: tuple[str, ...],
    values: Mapping[tuple[str, str, str], float] | Mapping[tuple[str, int], float],
) -> Iterator[Sample]:
    for key, value in sorted(values.items()):
        yield dict(zip(names, map(str, key), strict=True)), value


def _metric(name: str, kind: str, text: str, samples: Iterable[Sample]) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"
    for labels, value in samples:
        inside = ",".join(f'{label}="{_escaped(word)}"' for label, word in labels.items())
        yield f"{name}{{{inside}}} {value:.15g}" if inside else f"{name} {value:.15g}"


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
