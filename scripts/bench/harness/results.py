"""What a question came to: figures against their goals, as a table and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from harness.machine import Machine
from harness.rounds import Summary
from harness.warmth import Warmth

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Figure", "Result", "Unit", "figure_rows", "load", "save", "show", "table"]

FORMAT = 1


class Unit(StrEnum):
    """What a figure is measured in; `x` is a ratio of medians."""

    RATIO = "x"
    SECONDS = "s"
    MEBIBYTES = "MiB"
    BYTES_PER_ROW = "B/row"
    BYTES_PER_FILE = "B/file"
    MICROSECONDS = "us/item"
    COUNT = "count"


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value and the most it may be; without a goal it is there to be known.

    No value means that it could not be measured here; `note` says why.
    """

    text: str
    value: float | None
    unit: Unit
    goal: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the value is within the goal; None without a value or a goal."""
        if self.value is None or self.goal is None:
            return None
        return self.value <= self.goal


@dataclass(frozen=True, slots=True)
class Result:
    """Everything that one script found out."""

    question: str
    title: str
    scale: float
    rounds: int
    warmth: Warmth
    machine: Machine
    versions: dict[str, str]
    summaries: tuple[Summary, ...]
    figures: tuple[Figure, ...]
    notes: tuple[str, ...]


def save(result: Result, path: Path) -> None:
    """Write a result as JSON; `load` gives it back equal."""
    path.write_text(json.dumps({"format": FORMAT, **asdict(result)}, indent=2) + "\n")


def load(path: Path) -> Result:
    """Read a result.

    Raises:
        SystemExit: the file holds something else.
    """
    try:
        record: dict[str, Any] = json.loads(path.read_text())
        if record.pop("format") != FORMAT:
            raise ValueError("another format")  # noqa: TRY301 - one message for all that is wrong
        return decode(record)
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise SystemExit(f"{path} holds no result of a benchmark: {err}") from err


def decode(record: dict[str, Any]) -> Result:
    """Return the result that a parsed record stands for."""
    figures = (Figure(**{**one, "unit": Unit(one["unit"])}) for one in record.pop("figures"))
    summaries = (
        Summary(**{**one, "walls": tuple(one["walls"]), "cpus": tuple(one["cpus"])})
        for one in record.pop("summaries")
    )
    return Result(
        warmth=Warmth(record.pop("warmth")),
        machine=Machine(**record.pop("machine")),
        summaries=tuple(summaries),
        figures=tuple(figures),
        notes=tuple(record.pop("notes")),
        **record,
    )


def show(result: Result) -> str:
    """Return a result as text: what ran, the figures, and what to keep in mind."""
    head = f"{result.title} ({result.warmth}, scale {result.scale:g}, {result.rounds} rounds)"
    parts = [head]
    if result.summaries:
        parts.append(table(summary_rows(result.summaries)))
    parts.append(table([("figure", "measured", "goal", ""), *figure_rows(result.figures)]))
    parts.extend(f"note: {note}" for note in result.notes)
    return "\n\n".join(parts)


def summary_rows(summaries: tuple[Summary, ...]) -> list[tuple[str, ...]]:
    """Return what each command took, the names of the columns first."""
    head = ("command", "wall s", "cpu s", "pss MiB", "counted", "quiet", "as said")
    return [
        head,
        *(
            (
                one.name,
                f"{one.wall_s:.3f}",
                f"{one.cpu_s:.3f}",
                f"{one.peak_pss / 2**20:.0f}",
                f"{one.counted}/{one.rounds}",
                f"{one.quiet}/{one.rounds}",
                f"{one.as_said}/{one.rounds}",
            )
            for one in summaries
        ),
    ]


def figure_rows(figures: tuple[Figure, ...]) -> list[tuple[str, ...]]:
    """Return each figure with its goal and a word on it."""
    return [
        (one.text, quantity(one.value, one.unit), quantity(one.goal, one.unit), word(one))
        for one in figures
    ]


def word(figure: Figure) -> str:
    """Return whether a goal is met, or why nobody knows."""
    verdict = {True: "met", False: "NOT MET", None: ""}[figure.met]
    return ": ".join(part for part in (verdict, figure.note) if part)


def quantity(value: float | None, unit: Unit) -> str:
    """Return a value with its unit; nothing for none."""
    if value is None:
        return ""
    match unit:
        case Unit.RATIO:
            return f"{value:.3g}x" if value < 1 else f"{value:.2f}x"
        case Unit.COUNT:
            return f"{value:.0f}"
        case _:
            return f"{value:.3g} {unit}" if value < 100 else f"{value:.0f} {unit}"


def table(rows: list[tuple[str, ...]]) -> str:
    """Return rows as text in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
