"""Looking into files for parts, members and rows: one walk for all, and nothing opened twice."""

from __future__ import annotations

import os
import random
import time
import zipfile
from pathlib import Path

import pytest

from support.openings import opened_below

MIB = 1 << 20
DEEPER = ("--chunks", "--archives", "--tables")
SETTLED_S = 0.05


@pytest.fixture
def mixed(world):
    """Gold of several kinds, and a place that has parts, members and rows of it, settled."""
    chance = random.Random(5)
    large, small = chance.randbytes(3 * MIB), chance.randbytes(9_000)
    (world.gold / "large").write_bytes(large)
    (world.gold / "small").write_bytes(small)
    rows = ["name,amount", *(f"name {i},{i * 37}" for i in range(200))]
    (world.gold / "table.csv").write_text("\n".join(rows) + "\n")
    world.register()
    mine = world.top / "mine"
    (mine / "dir").mkdir(parents=True)
    (mine / "embedded").write_bytes(b"x" + large[:-5] + chance.randbytes(MIB))
    (mine / "dir" / "cut").write_bytes(small[:5_000])
    (mine / "table.csv").write_text("\n".join([rows[0], *reversed(rows[1:])]) + "\n")
    with zipfile.ZipFile(mine / "dir" / "packed.zip", "w") as made:
        made.writestr("small", small)
    (mine / "whole").write_bytes(small)
    for number in range(20):
        (mine / f"other{number}").write_bytes(chance.randbytes(3_000 + number))
    time.sleep(SETTLED_S)
    return world, mine


def kinds(found):
    return sorted((os.path.basename(one["path"]), one["kind"]) for one in found["copies"])


def test_a_second_scan_of_an_unchanged_tree_opens_nothing(mixed):
    world, mine = mixed
    first = world.ask_json("copies", str(mine), *DEEPER, code=3)
    with opened_below(mine) as opened:
        second = world.ask_json("copies", str(mine), *DEEPER, code=3)
    assert [] == opened
    assert (first["copies"], first["reclaimable"]) == (second["copies"], second["reclaimable"])
    assert {"exact", "partial", "archive_member", "table"} == {kind for _, kind in kinds(first)}
    assert first["looked_into"] > 0
    assert (0, 0) == (second["read"], second["looked_into"])


def test_only_what_was_changed_is_looked_into_again(mixed):
    world, mine = mixed
    first = world.ask_json("copies", str(mine), *DEEPER, code=3)
    (mine / "other3").write_bytes((mine / "dir" / "packed.zip").read_bytes())
    (mine / "table.csv").unlink()
    with opened_below(mine) as opened:
        second = world.ask_json("copies", str(mine), *DEEPER, code=3)
    assert {"other3"} == set(opened)
    expected = [one for one in kinds(first) if one[0] != "table.csv"]
    assert sorted([*expected, ("other3", "archive_member")]) == kinds(second)


def test_a_new_version_is_another_question(mixed):
    world, mine = mixed
    world.ask_json("copies", str(mine), *DEEPER, code=3)
    (mine / "other1").write_bytes((mine / "other2").read_bytes()[:2_000] * 3)
    (world.gold / "new").write_bytes((mine / "other1").read_bytes() + b"more")
    world.register("--append", "--reason", "more")
    found = world.ask_json("copies", str(mine), "--partial", code=3)
    assert ("other1", "partial") in kinds(found)


def test_one_question_does_not_forget_what_another_has_seen(mixed):
    world, mine = mixed
    for words in (("--archives",), ("--tables",), ("--partial",)):
        world.ask_json("copies", str(mine), *words, code=3)
    with opened_below(mine) as opened:
        found = world.ask_json("copies", str(mine), "--partial", "--archives", "--tables", code=3)
    assert ([], 0) == (opened, found["looked_into"])


def test_a_dry_run_remembers_nothing(mixed):
    world, mine = mixed
    first = world.ask_json("copies", str(mine), "--archives", "--dry-run", code=3)
    second = world.ask_json("copies", str(mine), "--archives", "--dry-run", code=3)
    assert 0 < first["looked_into"] == second["looked_into"]


def test_damaged_notes_are_made_again(mixed):
    world, mine = mixed
    first = world.ask_json("copies", str(mine), *DEEPER, code=3)
    notes = [*Path(world.home, "state", "copies").glob("*.archives")]
    assert 1 == len(notes)
    for length in (60, 40, 0):
        notes[0].write_bytes(notes[0].read_bytes()[:length])
        again = world.ask_json("copies", str(mine), *DEEPER, code=3)
        assert first["copies"] == again["copies"]


def test_files_of_a_list_are_remembered_by_themselves(mixed, tmp_path):
    world, mine = mixed
    listed = tmp_path / "list"
    listed.write_text(f"{mine}/dir/packed.zip\n{mine}/other1\n")
    words = ("copies", "--from-list", str(listed), "--archives")
    assert 2 == world.ask_json(*words, code=3)["looked_into"]
    with opened_below(mine) as opened:
        assert 0 == world.ask_json(*words, code=3)["looked_into"]
    assert [] == opened


def test_a_scan_that_goes_on_looks_into_all_files(mixed, monkeypatch):
    from dataguard.actions import copyscan

    world, mine = mixed
    monkeypatch.setattr(copyscan._Scan, "_roll", lambda _: None)
    found = world.ask_json("copies", str(mine), "--archives", code=3)
    assert ("packed.zip", "archive_member") in kinds(found)
