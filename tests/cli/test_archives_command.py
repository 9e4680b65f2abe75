"""`copies --archives` as users give it."""

from __future__ import annotations

import os
import tarfile
import zipfile

import pytest


@pytest.fixture
def packed(registered):
    """faces@1, and a place with archives of it."""
    mine = registered.top / "mine"
    mine.mkdir()
    with tarfile.open(mine / "all.data", "w:gz") as made:
        made.add(registered.gold, "faces")
    with zipfile.ZipFile(mine / "some", "w") as made:
        made.write(registered.gold / "dir" / "b", "x\ny")
        made.writestr("else", "else")
    (mine / "text").write_text("no archive " * 99)
    return registered, mine


def by_name(found):
    return {os.path.basename(one["path"]): one for one in found["copies"]}


def test_archives_are_found_where_they_are_asked_for(packed):
    world, mine = packed
    assert {} == by_name(world.ask_json("copies", str(mine)))
    found = by_name(world.ask_json("copies", str(mine), "--archives", code=3))
    assert {"all.data", "some"} == set(found)
    assert {"archive_member"} == {one["kind"] for one in found.values()}
    whole, some = found["all.data"], found["some"]
    assert ("faces", 1, str(world.gold / "a")) == (
        whole["dataset"],
        whole["version"],
        whole["original"],
    )
    assert (2, True) == (whole["evidence"]["member_count"], whole["evidence"]["only_gold"])
    assert (mine / "all.data").stat().st_blocks * 512 == whole["reclaimable"]
    assert (0, 5, '"x\\ny"') == (some["reclaimable"], some["bytes"], some["evidence"]["member"])


def test_an_archive_that_cannot_be_read_to_its_end_is_unchecked(packed):
    world, mine = packed
    (mine / "some").unlink()
    content = (mine / "all.data").read_bytes()
    (mine / "all.data").write_bytes(content[:-40])
    found = world.ask_json("copies", str(mine), "--archives", code=4)
    assert not found["complete"]
    assert [str(mine / "all.data")] == [one["path"] for one in found["unreadable"]]


def test_findings_of_archives_are_resolved_by_a_scan_that_looks_into_them(packed):
    world, mine = packed
    world.ask_json("copies", str(mine), "--archives", code=3)
    for name in ("some", "all.data"):
        (mine / name).unlink()

    def still_open():
        found = world.ask_json("findings", "list")["findings"]
        return sorted(one["code"] for one in found if one["state"] == "open")

    world.ask_json("copies", str(mine))
    assert ["DG203", "DG203"] == still_open()
    world.ask_json("copies", str(mine), "--archives")
    assert [] == still_open()


def test_files_that_are_listed_are_looked_into_alone(packed):
    world, mine = packed
    found = world.ask_json("copies", str(mine / "some"), "--archives", code=3)
    assert {"some"} == set(by_name(found))
