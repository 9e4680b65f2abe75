"""The frame of every script: arguments, corpora, a place to work, and the result at the end."""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.corpora import Corpus, Kind, corpus, place, tree_bytes
from harness.limit import Limit, build
from harness.machine import Machine, describe
from harness.peers import Peers, version
from harness.results import Figure, Result, Unit, save, show
from harness.rounds import Subject, Summary, interleave
from harness.warmth import Warmth

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Question", "arguments_parser", "asking"]

ROUNDS = 5
NOT_HERE = "not installed here"


@dataclass(slots=True)
class Question:
    """One question while it is asked: what was measured so far, and the ways to measure more."""

    name: str
    title: str
    rounds: int
    scale: float
    directory: Path
    work: Path
    peers: Peers
    limit: Limit | None
    machine: Machine
    warmth: Warmth = Warmth.WARM
    versions: dict[str, str] = field(default_factory=dict)
    summaries: dict[str, Summary] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def corpus(self, kind: Kind) -> Corpus:
        """Return a corpus at the scale asked for, made where it is not there."""
        return corpus(kind, self.directory, scale=self.scale)

    def peer(self, name: str) -> str | None:
        """Return the path of a peer, and remember its version; None and a note without one."""
        found = self.peers.find(name)
        if found is None:
            self.notes.append(f"{name} is {NOT_HERE}")
        else:
            self.versions[name] = version(found)
        return found

    def measure(self, subjects: Sequence[Subject]) -> None:
        """Have the commands take turns, and remember what they took."""
        measured = {one.reads for one in subjects if one.reads is not None}
        size = min(map(tree_bytes, measured), default=0) if self.warmth is Warmth.COLD else 0
        self.summaries |= interleave(subjects, self.rounds, warmth=self.warmth, corpus_bytes=size)

    def ratio(
        self, over: str, under: str, goal: float | None = None, *, of: str = "wall", text: str = ""
    ) -> None:
        """Add the ratio of two medians; one that was not measured is said to be missing.

        `of` is `wall`, `cpu` or `memory` (PSS of the whole tree).
        """
        text = text or f"{over} / {under}, {of}"
        lacking = next((one for one in (over, under) if one not in self.summaries), None)
        if lacking is not None:
            self.figures.append(Figure(text, None, Unit.RATIO, goal, f"no {lacking} here"))
            return
        value = amount(self.summaries[over], of) / amount(self.summaries[under], of)
        self.figures.append(Figure(text, value, Unit.RATIO, goal))

    def figure(
        self, text: str, value: float | None, unit: Unit, goal: float | None = None, note: str = ""
    ) -> None:
        """Add a figure that is no ratio of two commands."""
        self.figures.append(Figure(text, value, unit, goal, note))

    def memory(self, name: str, goal: float | None = None) -> None:
        """Add the peak memory of a command's whole tree."""
        peak = self.summaries[name].peak_pss / 2**20
        self.figure(f"{name}, peak PSS of all processes", peak, Unit.MEBIBYTES, goal)

    def per_item(self, name: str, items: int) -> None:
        """Add what one item costs a command, in CPU and in wall time."""
        summary = self.summaries[name]
        for of, seconds in (("cpu", summary.cpu_s), ("wall", summary.wall_s)):
            self.figure(f"{name}, {of} an item", seconds / items * 1e6, Unit.MICROSECONDS)

    def result(self) -> Result:
        """Return what was found out."""
        return Result(
            question=self.name,
            title=self.title,
            scale=self.scale,
            rounds=self.rounds,
            warmth=self.warmth,
            machine=self.machine,
            versions=self.versions,
            summaries=tuple(self.summaries.values()),
            figures=tuple(self.figures),
            notes=tuple(self.notes + remarks(self)),
        )


@contextlib.contextmanager
def asking(description: str) -> Iterator[Question]:
    """Parse the arguments, yield the question, and show and save the result after it.

    The first line of the description is the question.
    """
    arguments = arguments_parser(description).parse_args()
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(place(arguments.directory))
        made = tempfile.TemporaryDirectory(prefix="work-", dir=directory)
        work = Path(stack.enter_context(made))
        question = Question(
            name=Path(sys.argv[0]).name,
            title=description.splitlines()[0],
            rounds=arguments.rounds,
            scale=arguments.scale,
            directory=directory,
            work=work,
            peers=Peers(arguments.peers),
            limit=build(work),
            machine=describe(directory),
        )
        question.versions["dataguard"] = dataguard_version()
        yield question
        result = question.result()
    print(show(result))
    if arguments.json is not None:
        save(result, arguments.json)


def arguments_parser(description: str) -> argparse.ArgumentParser:
    """Return the arguments that all scripts take."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--directory", type=Path, help="keep the corpora here for the next time")
    add("--rounds", type=int, default=ROUNDS, help=f"how often (default: {ROUNDS})")
    add("--scale", type=float, default=1.0, help="part of the corpora's size (default: 1)")
    add("--peers", type=Path, metavar="DIR", help="look for other programs here before PATH")
    add("--json", type=Path, metavar="FILE", help="also write the result to a file")
    return parser


def amount(summary: Summary, of: str) -> float:
    """Return one of a summary's medians."""
    match of:
        case "wall":
            return summary.wall_s
        case "cpu":
            return summary.cpu_s
        case "memory":
            return summary.peak_pss
        case _:
            raise ValueError(of)


def remarks(question: Question) -> list[str]:
    """Return what a reader has to know about the medians."""
    found = [
        f"{one.name}: {one.rounds - one.quiet} of {one.rounds} runs were disturbed by others, "
        f"{one.rounds - one.as_said} not {question.warmth}; the medians have all"
        for one in question.summaries.values()
        if one.counted == one.rounds and min(one.quiet, one.as_said) < one.rounds
    ]
    if question.limit is None:
        found.append("no C compiler here, so the physical limit is not shown")
    elif not question.limit.hashes:
        found.append("no header of xxHash here: the C program reads and does not hash")
    if question.scale != 1:
        found.append("the goals are for scale 1")
    return found


def dataguard_version() -> str:
    """Return what dataguard says about itself."""
    words = [sys.executable, "-m", "dataguard", "--version"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
