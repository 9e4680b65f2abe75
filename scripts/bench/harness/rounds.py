"""Commands taking turns, and the medians of what they took."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.memory import peak_pss
from harness.running import run
from harness.warmth import Warmth, enforce, is_as_said, warm_program

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from harness.running import Command, Run

__all__ = ["Subject", "Summary", "interleave", "summarize"]

ENOUGH = 3
"""Undisturbed runs of this many rounds are better than disturbed runs of all."""


def nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A command that takes turns with others.

    `reads` is the corpus to make warm or cold before each run; `prepare` is done before each run
    and `check` after it, both untimed; `measure` runs the command, watched where it has to be.
    """

    name: str
    command: Command
    reads: Path | None = None
    prepare: Callable[[], None] = nothing
    check: Callable[[], None] = nothing
    measure: Callable[[Command], Run] = run


@dataclass(frozen=True, slots=True)
class Summary:
    """Medians of one command over its undisturbed runs, or over all where these are too few.

    `wall_s` and `cpu_s` are medians, `walls` and `cpus` the rounds; `peak_pss` is the memory of all
    processes together, in a run of its own. `counted` runs of `rounds` are behind the medians;
    `quiet` were not disturbed by others, `as_said` found the corpus warm, or cold, as the question
    wants it.
    """

    name: str
    wall_s: float
    cpu_s: float
    peak_pss: int
    rounds: int
    counted: int
    quiet: int
    as_said: int
    walls: tuple[float, ...]
    cpus: tuple[float, ...]


def interleave(
    subjects: Sequence[Subject], rounds: int, *, warmth: Warmth, corpus_bytes: int = 0
) -> dict[str, Summary]:
    """Run the commands A B C, A B C, ... and return the summary of each.

    Each runs once before the rounds: its program then is in the page cache, and its memory known.
    """
    peaks = {subject.name: first_run(subject, warmth) for subject in subjects}
    runs: dict[str, list[Run]] = {subject.name: [] for subject in subjects}
    for _ in range(rounds):
        for subject in subjects:
            make_ready(subject, warmth)
            runs[subject.name].append(subject.measure(subject.command))
            subject.check()
    said = {subject.name: subject.reads is not None for subject in subjects}
    return {
        name: summarize(
            name,
            taken,
            peak_pss=peaks[name],
            as_said=[not said[name] or is_as_said(warmth, one, corpus_bytes) for one in taken],
        )
        for name, taken in runs.items()
    }


def first_run(subject: Subject, warmth: Warmth) -> int:
    """Return the peak memory of the whole tree, from an untimed run."""
    make_ready(subject, warmth)
    peak, _ = peak_pss(subject.command)
    subject.check()
    return peak


def make_ready(subject: Subject, warmth: Warmth) -> None:
    """Prepare a subject; have programs in memory, and its corpus where the question wants it."""
    subject.prepare()
    warm_program()
    if subject.reads is not None:
        enforce(warmth, subject.reads)


def summarize(name: str, runs: Sequence[Run], *, peak_pss: int, as_said: Sequence[bool]) -> Summary:
    """Return the medians of the undisturbed runs, or of all where fewer than three are."""
    undisturbed = [one for one, fine in zip(runs, as_said, strict=True) if fine and one.is_quiet]
    counted = undisturbed if len(undisturbed) >= ENOUGH else list(runs)
    return Summary(
        name=name,
        wall_s=statistics.median(one.wall_s for one in counted),
        cpu_s=statistics.median(one.cpu_s for one in counted),
        peak_pss=peak_pss,
        rounds=len(runs),
        counted=len(counted),
        quiet=sum(one.is_quiet for one in runs),
        as_said=sum(as_said),
        walls=tuple(round(one.wall_s, 4) for one in runs),
        cpus=tuple(round(one.cpu_s, 4) for one in runs),
    )
