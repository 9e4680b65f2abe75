"""Makes docs/performance.md from results: a text with places that figures are put into."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.results import Result, Unit, figure_rows, load

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.machine import Machine

__all__ = ["PAGE", "QUESTIONS", "page", "results_in"]

TEMPLATE = Path(__file__).with_name("performance.md")
PAGE = Path(__file__).resolve().parents[3] / "docs" / "performance.md"

QUESTIONS = (
    "register_small",
    "register_million",
    "register_cold",
    "register_peers",
    "digests",
    "large_files",
    "unchanged",
    "full_audit",
    "diff",
    "copies",
    "chunks",
    "tables",
    "manifest",
    "dask",
    "startup",
    "confine",
    "mounting",
    "reading_mounted",
    "reading_gold",
    "watch",
    "watch_burst",
    "objects",
)
"""The scripts, in the order in which their figures are shown."""

OBJECTS = 100_000_000

STEPS = (
    ("register, everything in memory", "register_million", "register M"),
    ("register, data on a disk (files of 18 KiB)", "register_cold", "register c20"),
    ("register again, nothing changed", "unchanged", "register M again"),
    ("audit, quick", "unchanged", "audit quick M"),
    ("audit, full (files of 18 KiB)", "full_audit", "audit full S"),
    ("write manifest and sheet", "manifest", "write "),
    ("compare two manifests", "diff", "diff of "),
)
"""What is done with a hundred million objects, and which figures say what one of them costs."""


def results_in(directory: Path) -> list[Result]:
    """Return the results that are there, in the order of the questions."""
    files = (directory / f"{name}.json" for name in QUESTIONS)
    return [load(file) for file in files if file.exists()]


def page(results: Sequence[Result]) -> str:
    """Return the page: the text kept in the template, with these results' figures."""
    parts = {
        "MACHINE": machine_text(results),
        "FIGURES": "\n\n".join(map(section, results)),
        "COSTS": cost_table(results),
    }
    text = TEMPLATE.read_text()
    for name, part in parts.items():
        text = text.replace(f"<!-- {name} -->", part)
    return text


def machine_text(results: Sequence[Result]) -> str:
    """Return what the figures were measured on, and against which programs."""
    if not results:
        return "Nothing was measured yet."
    described = "; ".join(dict.fromkeys(machine_line(one.machine) for one in results))
    versions: dict[str, str] = {}
    for one in results:
        versions |= one.versions
    peers = "; ".join(f"{name}: {said}" for name, said in sorted(versions.items()))
    loads = [one.machine.others for one in results]
    scales = sorted({one.scale for one in results})
    lines = [
        f"Measured on {described}.",
        f"Before each question others used {min(loads):.1f} to {max(loads):.1f} cores.",
        f"Programs, as they name themselves: {peers}.",
    ]
    if scales != [1.0]:
        shown = ", ".join(f"{one:g}" for one in scales)
        lines.append(
            f"**The corpora had {shown} of their size**: start-up outweighs the work there, and "
            "the goals, which are for the full size, are judged all the same."
        )
    return "\n\n".join(lines)


def machine_line(machine: Machine) -> str:
    """Return a machine in one line."""
    return (
        f"{machine.cores} cores of {machine.model}, {machine.memory / 2**30:.0f} GiB, "
        f"{machine.file_system}, {machine.kernel}, {machine.python}"
    )


def section(result: Result) -> str:
    """Return one question: its figures, the commands behind them, and what to keep in mind."""
    parts = [
        f"### {result.title}",
        f"`scripts/bench/{result.question}`, {result.warmth}, {result.rounds} rounds.",
        markdown([("figure", "measured", "at most", ""), *figure_rows(result.figures)]),
    ]
    if result.summaries:
        parts.append(markdown([COMMAND_HEAD, *command_rows(result)]))
    if result.notes:
        parts.append("\n".join(f"- {note}" for note in result.notes))
    return "\n\n".join(parts)


COMMAND_HEAD = ("command", "wall s", "CPU s", "PSS MiB", "undisturbed")


def command_rows(result: Result) -> list[tuple[str, ...]]:
    """Return the medians of each command."""
    return [
        (
            f"`{one.name}`",
            f"{one.wall_s:.3f}",
            f"{one.cpu_s:.3f}",
            f"{one.peak_pss / 2**20:.0f}",
            f"{min(one.quiet, one.as_said)} of {one.rounds}",
        )
        for one in result.summaries
    ]


def cost_table(results: Iterable[Result]) -> str:
    """Return what an object costs, and what a hundred million of them come to."""
    rows = [("step", "CPU us an object", "wall us an object", "CPU hours for 100 million")]
    by_question = {one.question: one for one in results}
    for step, question, start in STEPS:
        cpu = cost(by_question.get(question), start, "cpu")
        wall = cost(by_question.get(question), start, "wall")
        if cpu is None or wall is None:
            rows.append((step, "not measured", "not measured", ""))
        else:
            hours = cpu * OBJECTS / 1e6 / 3600
            rows.append((step, f"{cpu:.2f}", f"{wall:.2f}", f"{hours:.2f}"))
    return markdown(rows)


def cost(result: Result | None, start: str, of: str) -> float | None:
    """Return microseconds an item of the figure that begins so."""
    for one in result.figures if result else ():
        ends_so = one.text.endswith(f", {of} an item")
        if one.unit is Unit.MICROSECONDS and one.text.startswith(start) and ends_so:
            return one.value
    return None


def markdown(rows: Sequence[tuple[str, ...]]) -> str:
    """Return rows as a table, the first as its head."""
    head, *rest = ("| " + " | ".join(row) + " |" for row in rows)
    return "\n".join([head, "|" + "---|" * len(rows[0]), *rest])
