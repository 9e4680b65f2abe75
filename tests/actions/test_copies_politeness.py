"""`copies` leaves in the page cache what was there, and its reading is as urgent as it says."""

from __future__ import annotations

import ctypes
import os
import random

import pytest

from dataguard.cli import main
from dataguard.engines.priority import read_when_idle
from support.pagecache import cached_pages, make_cold, make_warm, why_no_page_cache

PAGE = 4096
IDLE_CLASS = 3
IOPRIO_GET = {"x86_64": 252, "aarch64": 31}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Gold, and a place with two files that are looked into by every search."""
    if reason := why_no_page_cache(tmp_path):
        pytest.skip(reason)
    monkeypatch.setenv("DATAGUARD_HOME", str(tmp_path / "home"))
    gold, mine = tmp_path / "gold", tmp_path / "mine"
    gold.mkdir()
    mine.mkdir()
    lines = ["name,amount", *(f"name {i},{i}" for i in range(200_000))]
    (gold / "table.csv").write_text("\n".join(lines))
    assert main(["register", "faces", str(gold), "-q"]) == 0
    chance = random.Random(1)
    for name in ("idle.csv", "used.csv"):
        chosen = chance.choices(lines[1:], k=100_000)
        (mine / name).write_text("\n".join([lines[0], *chosen]))
    return mine


@pytest.mark.parametrize("words", [(), ("--partial",), ("--chunks",), ("--archives",)])
def test_what_was_in_memory_stays_and_nothing_else_does(place, words):
    pages = -(-(place / "used.csv").stat().st_size // PAGE)
    found = []
    for _ in range(5):  # more than one attempt, see tests/stores/test_politeness.py
        make_cold(place / "idle.csv")
        make_warm(place / "used.csv")
        assert main(["copies", str(place), *words, "--dry-run", "-q"]) == 0
        found.append((cached_pages(place / "idle.csv"), cached_pages(place / "used.csv")))
    assert {pages} == {used for _, used in found}
    assert 0 in {idle for idle, _ in found}


def test_a_table_that_was_read_is_not_left_in_memory(place):
    found = []
    for _ in range(5):
        make_cold(place / "idle.csv")
        assert main(["copies", str(place), "--tables", "--dry-run", "-q"]) == 3
        found.append(cached_pages(place / "idle.csv"))
    assert 0 in found


@pytest.mark.parametrize(("words", "before"), [("--partial", b""), ("--chunks", b"x")])
def test_what_was_compared_with_gold_is_not_left_in_memory_nor_is_gold(place, words, before):
    gold, part = place.parent / "gold" / "table.csv", place / "part.csv"
    part.write_bytes(before + gold.read_bytes()[: 2 << 20])
    found = []
    for _ in range(5):
        make_cold(gold)
        make_cold(part)
        assert main(["copies", str(place), words, "--dry-run", "-q"]) == 3
        found.append((cached_pages(gold), cached_pages(part)))
    assert (0, 0) in found


def test_idle_is_the_idle_class_of_the_process_and_of_those_it_starts():
    number = IOPRIO_GET.get(os.uname().machine)
    if number is None:
        pytest.skip("no number of ioprio_get for this machine")
    theirs, ours = os.pipe()
    child = os.fork()
    if child == 0:
        read_when_idle()
        libc = ctypes.CDLL(None)
        grandchild = os.fork()
        if grandchild:
            os.waitpid(grandchild, 0)
        os.write(ours, bytes([libc.syscall(number, 1, 0) >> 13]))
        os._exit(0)
    os.waitpid(child, 0)
    os.close(ours)
    try:
        assert bytes([IDLE_CLASS, IDLE_CLASS]) == os.read(theirs, 10)
    finally:
        os.close(theirs)
