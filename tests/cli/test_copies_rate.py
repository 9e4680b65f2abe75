"""`copies --rate` bounds what is read in a time; nothing but the time differs."""

from __future__ import annotations

import os
import time
import zipfile

import pytest

MIB = 1 << 20


@pytest.fixture
def filled(registered):
    """A place with 2 MiB of files of sizes in gold, and an archive."""
    content = os.urandom(MIB // 4)
    for number in range(8):
        (registered.gold / f"new{number}").write_bytes(content + bytes([number]))
    registered.register("--append", "--reason", "more")
    mine = registered.top / "mine"
    mine.mkdir()
    for number in range(8):
        (mine / f"{number}").write_bytes(content + bytes([number + 4]))
    with zipfile.ZipFile(mine / "packed", "w") as made:
        made.writestr("x", content + b"\1")
    return registered, mine


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_scan_takes_as_long_as_its_bytes_at_that_rate(filled, workers):
    world, mine = filled
    words = ("copies", str(mine), "--archives", "--dry-run", "--workers", workers)
    free = world.ask_json(*words, code=3)
    begun = time.monotonic()
    slow = world.ask_json(*words, "--rate", "1M", code=3)
    # 2 MiB at 1 MiB a second, less what may be read at once; how much longer is the machine's.
    assert time.monotonic() - begun > 1.0
    assert free["copies"] == slow["copies"]
    assert 5 == len(slow["copies"])


def test_a_rate_of_nothing_is_refused(filled):
    world, mine = filled
    assert 2 == world.ask("copies", str(mine), "--rate", "0").code
