"""`copies --partial` as users give it."""

from __future__ import annotations

import os

import pytest


@pytest.fixture
def parts(registered):
    """faces@2 with a large file, and a place with parts of it."""
    content = os.urandom(100_000)
    (registered.gold / "big").write_bytes(content)
    registered.register("--append", "--reason", "more")
    mine = registered.top / "mine"
    mine.mkdir()
    (mine / "less\n").write_bytes(content[:50_000])
    (mine / "more").write_bytes(content + b"more")
    (mine / "same").write_bytes(content)
    (mine / "other").write_bytes(os.urandom(50_000))
    return registered, mine


def kinds(found):
    return {os.path.basename(one["path"]): one["kind"] for one in found["copies"]}


def test_parts_are_found_where_they_are_asked_for(parts):
    world, mine = parts
    assert {"same": "exact"} == kinds(world.ask_json("copies", str(mine), code=3))
    found = world.ask_json("copies", str(mine), "--partial", code=3)
    assert {"same": "exact", "less\n": "partial", "more": "partial"} == kinds(found)
    by_path = {os.path.basename(one["path"]): one for one in found["copies"]}
    assert ["truncated", "appended"] == [
        by_path[name]["evidence"]["part"] for name in ("less\n", "more")
    ]
    assert [50_000, 100_000] == [by_path[name]["bytes"] for name in ("less\n", "more")]
    assert {str(world.gold / "big")} == {one["original"] for one in by_path.values()}
    assert ["DG201", "DG202", "DG202"] == sorted(one["code"] for one in found["findings"])


def test_files_that_are_listed_are_looked_at_alone(parts):
    world, mine = parts
    found = world.ask_json("copies", str(mine / "more"), "--partial", code=3)
    assert {"more": "partial"} == kinds(found)


def test_findings_of_parts_are_resolved_by_a_scan_that_looks_for_parts(parts):
    world, mine = parts
    world.ask_json("copies", str(mine), "--partial", code=3)
    (mine / "less\n").unlink()
    (mine / "more").unlink()

    def still_open():
        found = world.ask_json("findings", "list")["findings"]
        return sorted(one["code"] for one in found if one["state"] == "open")

    world.ask_json("copies", str(mine), code=3)
    assert ["DG201", "DG202", "DG202"] == still_open()
    world.ask_json("copies", str(mine), "--partial", code=3)
    assert ["DG201"] == still_open()


def test_parts_are_nothing_to_reclaim_yet(parts):
    world, mine = parts
    found = world.ask_json("reclaim", str(mine), "--method", "link", "--link-gold")
    assert ["same"] == [os.path.basename(one["path"]) for one in found["steps"]]
