"""The commands that are measured: dataguard's, and those that hash with other programs."""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

from harness.rounds import Subject
from harness.running import Command, run

if TYPE_CHECKING:
    from pathlib import Path

    from harness.corpora import Corpus
    from harness.question import Question

__all__ = [
    "NAME",
    "answer",
    "dataguard",
    "hashing",
    "physical_limit",
    "register",
    "registered_home",
    "rows_command",
    "xxhsum_subjects",
]

NAME = "bench"

ALL_FILES = 'root=$1; shift; find "$root" -type f -print0 | '
ONE_PROCESS = ALL_FILES + 'xargs -0 "$@"'
TWO_PROCESSES = ALL_FILES + 'xargs -0 -P2 -n500 "$@"'


def dataguard(*words: str, home: Path, cwd: Path | None = None) -> Command:
    """Return a command of the dataguard of this interpreter; its JSON goes beside the home."""
    return Command(
        words=(sys.executable, "-m", "dataguard", *words, "--format", "json"),
        variables={"DATAGUARD_HOME": str(home)},
        cwd=cwd or home.parent,
        output=home.with_suffix(".json"),
    )


def answer(command: Command) -> dict[str, Any]:
    """Return what the last run of a dataguard command printed."""
    if command.output is None:
        raise ValueError(command.words)
    record: dict[str, Any] = json.loads(command.output.read_text())
    return record


def register(question: Question, corpus: Corpus, *options: str, name: str = "") -> Subject:
    """Return the first registration of a corpus, in a new home each time.

    The home stays after a run, named `home-` and the subject's name. A run that did not read every
    file ends the script.
    """
    name = name or f"register {corpus.kind}"
    home = question.work / f"home-{name.replace(' ', '-')}"
    command = dataguard("register", NAME, str(corpus.root), *options, home=home)

    def check() -> None:
        hashed = answer(command)["hashed"]
        if hashed != corpus.files:
            sys.exit(f"{name} read {hashed} files of {corpus.files}")

    return Subject(
        name,
        command,
        reads=corpus.root,
        prepare=lambda: shutil.rmtree(home, ignore_errors=True),
        check=check,
    )


def registered_home(question: Question, corpus: Corpus) -> Path:
    """Return a new home in which a corpus is registered as `bench@1`."""
    home = question.work / f"registered-{corpus.kind}"
    run(dataguard("register", NAME, str(corpus.root), home=home))
    return home


def rows_command(home: Path, count: int, version: int, *least: int) -> Command:
    """Return the command that writes a manifest of made-up rows; see `harness.rows`."""
    return Command(
        words=(sys.executable, "-m", "harness.rows", *map(str, (home, count, version, *least))),
        variables={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        cwd=home.parent,
        output=home.with_suffix(".json"),
    )


def hashing(
    name: str, corpus: Corpus, *words: str, processes: int = 1, output: Path | None = None
) -> Subject:
    """Return a program that hashes the files it is given, with one or two processes at a time."""
    script = ONE_PROCESS if processes == 1 else TWO_PROCESSES
    command = Command(("sh", "-c", script, "sh", str(corpus.root), *words), output=output)
    return Subject(name, command, reads=corpus.root)


def xxhsum_subjects(question: Question, corpus: Corpus) -> list[Subject]:
    """Return `xxhsum -H2` with two processes and with one; nothing where it is missing."""
    xxhsum = question.peer("xxhsum")
    if xxhsum is None:
        return []
    kind = corpus.kind
    return [
        hashing(f"xargs -P2 xxhsum {kind}", corpus, xxhsum, "-H2", processes=2),
        hashing(f"xxhsum {kind}", corpus, xxhsum, "-H2"),
    ]


def physical_limit(question: Question, corpus: Corpus, threads: int) -> list[Subject]:
    """Return the C program over a corpus; nothing where there is no compiler."""
    if question.limit is None:
        return []
    command = Command(question.limit.command("hash", threads, corpus.root))
    return [Subject(f"C {threads} threads {corpus.kind}", command, reads=corpus.root)]
