"""`register --chunks` and `copies --chunks` as users give them."""

from __future__ import annotations

import os
import random

import pytest

MIB = 1 << 20


@pytest.fixture
def large(world):
    """Gold with two large files and small ones, not registered, and a place to look at."""
    chance = random.Random(5)
    for name in ("one", "two"):
        (world.gold / name).write_bytes(chance.randbytes(2 * MIB))
    (world.top / "mine").mkdir()
    return world


def sheets(world, kind=b"chunks"):
    found = (world.home / "sheets").glob("*/*.parquet")
    return [
        path
        for path in found
        if b"dataguard.sheet" in path.read_bytes() and kind in path.read_bytes()
    ]


def embed(world, name="mixed"):
    content = os.urandom(5) + (world.gold / "two").read_bytes() + os.urandom(100)
    (world.top / "mine" / name).write_bytes(content)


def test_a_sheet_of_chunks_is_kept_beside_the_others(large):
    told = large.register("--chunks")["chunks"]
    assert (2, 4 * MIB, []) == (told["files"], told["bytes"], told["unreadable"])
    assert 16 <= told["chunks"] <= 256
    (sheet,) = sheets(large)
    assert told["sheet"] == sheet.stem
    assert [] == large.ask_json("catalog", "check")["problems"]


def test_without_the_option_nothing_is_cut(large):
    assert large.register()["chunks"] is None
    assert [] == sheets(large)


def test_a_sheet_is_made_for_a_version_that_is_there_and_only_once(large):
    large.register()
    first = large.register("--chunks")
    (sheet,) = sheets(large)
    before = sheet.stat()
    second = large.register("--chunks")
    assert (False, first["chunks"]) == (second["created"], second["chunks"])
    assert before == sheet.stat()


def test_a_sheet_follows_from_the_content_alone(large):
    first = large.register("--chunks")["chunks"]["sheet"]
    (
        large.home / "sheets" / large.ask_json("show", "faces")["root"][4:] / f"{first}.parquet"
    ).unlink()
    assert first == large.register("--chunks")["chunks"]["sheet"]


def test_chunks_are_read_from_the_sheet_not_from_gold(large, monkeypatch):
    large.register("--chunks")
    for index in (large.home / "state" / "index").glob("*.chunks"):
        index.unlink()
    embed(large)
    monkeypatch.setattr("dataguard.actions.chunking._cut", None)
    found = large.ask_json("copies", str(large.top / "mine"), "--chunks", code=3)
    (copy,) = found["copies"]
    assert ("partial", "embedded") == (copy["kind"], copy["evidence"]["part"])
    assert ["DG202"] == [one["code"] for one in found["findings"]]


def test_a_damaged_sheet_is_told_and_mended(large):
    large.register("--chunks")
    (sheet,) = sheets(large)
    whole = sheet.read_bytes()
    sheet.chmod(0o644)
    sheet.write_bytes(whole[:10] + b"x" + whole[11:])
    (problem,) = large.ask_json("catalog", "check", code=13)["problems"]
    assert "faces@1" in problem["message"]
    large.register("--chunks")
    assert whole == sheet.read_bytes()
    assert [] == large.ask_json("catalog", "check")["problems"]


def test_parts_anywhere_are_told_with_those_at_the_beginning(large):
    large.register()
    mine = large.top / "mine"
    embed(large)
    content = (large.gold / "one").read_bytes()
    (mine / "less").write_bytes(content[: MIB + 5])
    (mine / "joined").write_bytes(content + (large.gold / "two").read_bytes())
    (mine / "other").write_bytes(os.urandom(MIB))
    found = large.ask_json("copies", str(mine), "--chunks", code=3)
    parts = {os.path.basename(one["path"]): one["evidence"]["part"] for one in found["copies"]}
    assert {"mixed": "embedded", "less": "truncated", "joined": "embedded"} == parts
    joined = next(one for one in found["copies"] if one["path"].endswith("joined"))
    assert (2, 4 * MIB) == (joined["evidence"]["originals"], joined["bytes"])
    assert found["complete"]


def test_findings_of_parts_anywhere_are_resolved_by_a_scan_for_them_alone(large):
    large.register()
    embed(large)
    mine = str(large.top / "mine")
    large.ask_json("copies", mine, "--chunks", code=3)
    (large.top / "mine" / "mixed").unlink()

    def still_open():
        return len(large.ask_json("findings", "list")["findings"])

    large.ask_json("copies", mine, "--partial")
    assert 1 == still_open()
    large.ask_json("copies", mine, "--chunks")
    assert 0 == still_open()


def test_what_was_changed_since_it_was_recorded_is_not_cut(large, monkeypatch):
    from dataguard.actions import register

    def changed(*args):
        result = recorded(*args)
        (large.gold / "one").write_bytes(os.urandom(2 * MIB))
        return result

    recorded = register._carried_out
    monkeypatch.setattr(register, "_carried_out", changed)
    told = large.ask_json("register", "faces", str(large.gold), "--chunks", code=4)
    assert told["chunks"]["sheet"] is None
    assert ["one"] == [one["path"] for one in told["chunks"]["unreadable"]]
    assert [] == sheets(large)
