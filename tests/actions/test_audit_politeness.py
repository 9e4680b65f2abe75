from __future__ import annotations

import pytest

from dataguard.cli import main
from support.pagecache import cached_pages, make_cold, make_warm, why_no_page_cache


@pytest.fixture
def gold(tmp_path, monkeypatch):
    """Two registered files on a disk: what is on tmpfs never leaves the memory."""
    if reason := why_no_page_cache(tmp_path):
        pytest.skip(reason)
    monkeypatch.setenv("DATAGUARD_HOME", str(tmp_path / "home"))
    gold = tmp_path / "gold"
    gold.mkdir()
    for name in ("idle", "used"):
        (gold / name).write_bytes(name.encode() * 20_000)
    assert main(["register", "faces", str(gold), "-q"]) == 0
    return gold


def left_by(gold, *words):
    """Return how many pages of a file nobody used, and of one in use, a command leaves."""
    make_cold(gold / "idle")
    make_warm(gold / "used")
    assert main([*words, "-q"]) == 0
    return cached_pages(gold / "idle"), cached_pages(gold / "used")


def test_full_audit_leaves_in_memory_what_was_there_and_nothing_else(gold):
    # More than one attempt, see tests/stores/test_politeness.py.
    found = [left_by(gold, "audit", "--level", "full") for _ in range(5)]
    assert {20} == {used for _, used in found}
    assert 0 in {idle for idle, _ in found}


def test_registering_keeps_in_memory_what_it_read(gold):
    assert (20, 20) == left_by(gold, "register", "faces", str(gold), "--rehash")
