"""Other programs that find duplicates find what `copies` finds."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dataguard.cli import main

PEERS = {"jdupes": ("-r", "-q", "-o", "name"), "rdfind": ("-dryrun", "true")}


def write_trees(top, count):
    """Gold and a workspace with copies, hard links, near misses and files of their own."""
    chance = random.Random(11)
    sizes = [chance.choice((1, 7, 4096, 5000, 70_000)) + i % 3 for i in range(count)]
    for tree in ("gold", "work"):
        for i in range(10):
            (top / tree / f"{i}").mkdir(parents=True)
    for i, size in enumerate(sizes):
        header = b"the same header" * 300  # as files of one format have
        gold = top / "gold" / f"{i % 10}" / f"{i}.bin"
        gold.write_bytes((header + chance.randbytes(size))[-size:])
        work, kind = top / "work" / f"{i % 10}" / f"w{i}", chance.random()
        if kind < 0.2:
            shutil.copyfile(gold, work)
        elif kind < 0.3:
            content = bytearray(gold.read_bytes())
            content[len(content) // 2] ^= 1
            work.write_bytes(content)
        elif kind < 0.35:
            work.hardlink_to(gold)
        elif kind < 0.4:
            work.write_bytes(gold.read_bytes()[:-1])
        else:
            work.write_bytes(chance.randbytes(size + 1))


def naive(top):
    """Which files of the workspace have the content of one in gold, and are not its link."""
    gold = {path.read_bytes() for path in (top / "gold").rglob("*") if path.is_file()}
    linked = {path.stat().st_ino for path in (top / "gold").rglob("*")}
    return {
        str(path)
        for path in (top / "work").rglob("*")
        if path.is_file() and path.read_bytes() in gold and path.stat().st_ino not in linked
    }


def told_by(name, top):
    """What a program tells: the files of the workspace in one set with a file of gold."""
    trees = (str(top / "gold"), str(top / "work"))
    words = [name, *PEERS[name], *trees]
    done = subprocess.run(words, capture_output=True, check=True, cwd=top, text=True)
    sets = [block.splitlines() for block in done.stdout.split("\n\n")]
    if name == "rdfind":
        lines = (top / "results.txt").read_text().splitlines()
        groups = {}
        for line in lines:
            if not line.startswith("#"):
                fields = line.split(" ", 7)
                groups.setdefault(abs(int(fields[1])), []).append(fields[7])
        sets = groups.values()
    return {
        path
        for group in sets
        if any(path.startswith(trees[0]) for path in group)
        for path in group
        if path.startswith(trees[1])
    }


@pytest.fixture(scope="module")
def told(tmp_path_factory, request):
    """The trees, and what `copies` tells of them."""
    top = tmp_path_factory.mktemp("peers").resolve()
    write_trees(top, 20_000 if request.config.getoption("--long") else 1_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATAGUARD_HOME", str(top / "home"))
        assert 0 == main(["register", "faces", str(top / "gold"), "-q"])
        report = top / "report.json"
        with report.open("w") as stream:
            done = subprocess.run(
                [*_COMMAND, "copies", str(top / "work"), "--format", "json"],
                stdout=stream,
                check=False,
            )
    assert 3 == done.returncode
    found = json.loads(report.read_text())["copies"]
    return top, {one["path"] for one in found if one["kind"] == "exact"}


_COMMAND = (sys.executable, "-m", "dataguard")


def test_every_copy_is_told_and_nothing_else(told):
    top, copies = told
    assert naive(top) == copies


@pytest.mark.parametrize("name", PEERS)
def test_other_programs_tell_the_same(told, name):
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    top, copies = told
    linked = {path.stat().st_ino for path in (top / "gold").rglob("*")}
    theirs = {path for path in told_by(name, top) if Path(path).stat().st_ino not in linked}
    assert copies == theirs
