"""Other programs that take files in and check them again, set up as their manuals say.

Those that move or link what they take in get a copy of the corpus, made before the clock starts.
"""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from harness.rounds import Subject
from harness.running import Command, run

if TYPE_CHECKING:
    from pathlib import Path

    from harness.corpora import Corpus
    from harness.question import Question

__all__ = ["aide_check", "bagit_validate", "keepers"]

AIDE_CONFIG = """\
database_in=file:{directory}/aide.db
database_out=file:{directory}/aide.db
gzip_dbout=no
{pattern} ftype+s+m+sha256
"""

QUILT = """
import sys, quilt3
quilt3.Package().set_dir(".", sys.argv[1]).build("bench/corpus")
"""


def keepers(question: Question, corpus: Corpus) -> list[tuple[Subject, Path]]:
    """Return the programs that take a corpus in, and where each keeps what it makes of it."""
    makers = (dvc, bagit, restic, aide, quilt)
    return [made for maker in makers if (made := maker(question, corpus)) is not None]


def dvc(question: Question, corpus: Corpus) -> tuple[Subject, Path] | None:
    """Return `dvc add` of a copy, in a repository of its own."""
    program = question.peer("dvc")
    if program is None:
        return None
    place = question.work / "dvc"
    site = question.work / "dvc-site"
    settings = {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(site)}

    def prepare() -> None:
        copy(corpus, place / "data")
        shutil.rmtree(site, ignore_errors=True)
        run(Command((program, "init", "--no-scm", "-q"), settings, cwd=place))

    command = Command((program, "add", "-q", "data"), settings, cwd=place)
    return Subject("dvc add", command, reads=place / "data", prepare=prepare), place / ".dvc"


def bagit(question: Question, corpus: Corpus) -> tuple[Subject, Path] | None:
    """Return `bagit.py` that makes a bag of a copy in place."""
    program = question.peer("bagit.py")
    if program is None:
        return None
    place = question.work / "bag"
    command = Command((program, "--sha256", "--processes", "2", "--quiet", str(place)))
    prepare = lambda: copy(corpus, place)  # noqa: E731 - as short as its meaning
    # The copy itself moves to `data/`; what is beside it was made.
    return Subject("bagit", command, reads=place, prepare=prepare), place


def bagit_validate(question: Question, corpus: Corpus) -> Subject | None:
    """Make a bag of a copy, and return the command that checks every byte of it."""
    made = bagit(question, corpus)
    if made is None:
        return None
    subject, place = made
    subject.prepare()
    run(subject.command)
    program = subject.command.words[0]
    words = (program, "--validate", "--processes", "2", "--quiet", str(place))
    return Subject("bagit validate", Command(words), reads=place)


def restic(question: Question, corpus: Corpus) -> tuple[Subject, Path] | None:
    """Return `restic backup` into a new repository."""
    program = question.peer("restic")
    if program is None:
        return None
    place = question.work / "restic"
    settings = {
        "RESTIC_REPOSITORY": str(place),
        "RESTIC_PASSWORD": "benchmark",
        "RESTIC_CACHE_DIR": str(question.work / "restic-cache"),
    }

    def prepare() -> None:
        shutil.rmtree(place, ignore_errors=True)
        shutil.rmtree(question.work / "restic-cache", ignore_errors=True)
        run(Command((program, "init", "-q"), settings))

    command = Command((program, "backup", "-q", str(corpus.root)), settings)
    return Subject("restic backup", command, reads=corpus.root, prepare=prepare), place


def aide(question: Question, corpus: Corpus) -> tuple[Subject, Path] | None:
    """Return `aide --init` with sizes, times and SHA-256."""
    program = question.peer("aide")
    if program is None:
        return None
    place = question.work / "aide"
    config = question.work / "aide.conf"
    pattern = re.sub(r"([^\w/])", r"\\\1", str(corpus.root))
    config.write_text(AIDE_CONFIG.format(directory=place, pattern=pattern))

    def prepare() -> None:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()

    command = Command((program, "--init", "--config", str(config)))
    return Subject("aide --init", command, reads=corpus.root, prepare=prepare), place


def aide_check(question: Question, corpus: Corpus) -> Subject | None:
    """Make aide's database, and return the command that compares the files with it."""
    made = aide(question, corpus)
    if made is None:
        return None
    subject, _ = made
    subject.prepare()
    run(subject.command)
    program, _, *rest = subject.command.words
    return Subject("aide --check", Command((program, "--check", *rest)), reads=corpus.root)


def quilt(question: Question, corpus: Corpus) -> tuple[Subject, Path] | None:
    """Return quilt3's package of a directory, hashed and written into the local registry."""
    python = question.peers.interpreter_with("quilt3")
    if python is None or question.peer("quilt3") is None:
        return None
    place = question.work / "quilt"
    settings = {"XDG_DATA_HOME": str(place), "QUILT_DISABLE_USAGE_METRICS": "true"}
    command = Command((python, "-c", QUILT, str(corpus.root)), settings)
    prepare = lambda: shutil.rmtree(place, ignore_errors=True)  # noqa: E731 - as above
    return Subject("quilt3", command, reads=corpus.root, prepare=prepare), place


def copy(corpus: Corpus, place: Path) -> None:
    """Put a new copy of a corpus at a place."""
    shutil.rmtree(place.parent if place.name == "data" else place, ignore_errors=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    run(Command(("cp", "-a", str(corpus.root), str(place))))
