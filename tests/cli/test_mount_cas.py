"""Mounts from the node cache: filled, used, proved, verified by jobs, and taken away."""

from __future__ import annotations

import os

import pytest

from support.cachedtrees import needs_images
from support.mountcleanup import fingerprint, mounts_below, unmount_command

pytestmark = needs_images


@pytest.fixture
def mounted(registered):
    registered.ask_json("workspace", "init", "work", "--outputs", str(registered.top / "out"))
    os.chdir(registered.top / "work")
    found = registered.ask_json("mount", "faces@1", "--backend", "cas")
    assert ("cas", "enforced") == (found["backend"], found["guarantee"])
    assert {"refused"} == {step["result"] for step in found["probe"]}
    return registered


def copies(world):
    """The files of the cache that hold contents."""
    return sorted(p for p in (world.home / "cache" / "xxh3-128").rglob("*") if p.is_file())


def test_mount_shows_the_version_from_the_cache(mounted):
    assert ["a", "dir", "empty", "link"] == sorted(os.listdir("data/faces"))
    (mounted.gold / "a").unlink()
    with open("data/faces/a", "rb") as file:
        assert b"hello\n" == file.read()
    assert 2 == len(copies(mounted))


def test_mount_is_kept_by_the_next_command_and_undone_without_a_trace(mounted):
    again = mounted.ask_json("mount")
    assert (False, "cas") == (again["created"], again["backend"])
    mounted.ask_json("unmount", "faces")
    assert ([], []) == (mounts_below(mounted.top), os.listdir("data"))


def test_another_backend_takes_its_place_where_it_is_asked_for(mounted):
    assert "bind" == mounted.ask_json("mount", "faces@1", "--backend", "bind")["backend"]
    assert "cas" == mounted.ask_json("mount", "faces@1", "--backend", "cas")["backend"]
    assert 1 == len(mounts_below(mounted.top))


def test_cache_keeps_what_is_mounted_and_lets_go_of_it_after(mounted):
    mounted.ask_json("cache", "prune", "--all")
    assert 2 == len(copies(mounted))
    mounted.ask_json("unmount", "faces")
    mounted.ask_json("cache", "prune", "--all")
    assert [] == copies(mounted)


def test_tree_is_there_for_the_next_mount_when_contents_went(mounted):
    mounted.ask_json("unmount", "faces")
    mounted.ask_json("cache", "prune", "--all")
    before = images(mounted)
    assert mounted.ask_json("mount")["created"]
    assert before == images(mounted)
    with open("data/faces/dir/b", "rb") as file:
        assert b"deep\n" == file.read()


def images(world):
    return {p: p.stat().st_ino for p in (world.home / "cache" / "trees").rglob("*.erofs")}


def test_jobs_read_through_it_and_neither_write_it_nor_the_cache(mounted):
    before = fingerprint(mounted.gold)
    one = copies(mounted)[0]
    script = (
        f"cat $DATAGUARD_INPUT_FACES/a > {{out}}/read; rm {one}; echo > $DATAGUARD_INPUT_FACES/x"
    )
    done = mounted.ask_json("run", "--", "sh", "-c", script, code=2)
    (given,) = done["inputs"]
    assert ("verified", "verified") == (given["before"], given["after"])
    assert one.exists()
    assert before == fingerprint(mounted.gold)


def test_copy_that_changes_during_a_run_is_found_and_not_held_against_the_dataset(mounted):
    one = copies(mounted)[0]
    job = ("run", "--unconfined", "--", "sh", "-c", f"echo other > {one}")
    done = mounted.ask_json(*job, code=3)
    assert (["DG304"], "changed") == (
        [finding["code"] for finding in done["findings"]],
        done["inputs"][0]["after"],
    )
    assert mounted.ask_json("audit", "faces@1")["complete"]
    mounted.ask_json("unmount", "faces")
    mounted.ask_json("mount")
    assert "verified" == mounted.ask_json("run", "--", "true")["inputs"][0]["after"]


def test_writes_are_not_routed_over_it(mounted):
    answer = mounted.ask("run", "--writes", "route", "--", "true")
    assert (125, True) == (answer.code, "cannot be routed" in answer.err)


def test_wrong_bytes_in_the_source_are_never_mounted(registered):
    (registered.gold / "a").write_bytes(b"wrong\n")
    registered.ask_json("workspace", "init", "work", "--outputs", str(registered.top / "out"))
    os.chdir(registered.top / "work")
    assert 3 == registered.ask("mount", "faces@1", "--backend", "cas").code
    assert ([], []) == (mounts_below(registered.top), copies(registered)[1:])


def test_audit_finds_what_was_mounted_in_its_place(mounted):
    assert [] == mounted.ask_json("audit", "faces@1")["findings"]
    unmount_command(mounted.top / "work" / "data" / "faces")
    found = mounted.ask_json("audit", "faces@1", code=3)["findings"]
    assert ["DG401"] == [one["code"] for one in found]


def test_dry_run_fetches_nothing(registered):
    registered.ask_json("workspace", "init", "work", "--outputs", str(registered.top / "out"))
    os.chdir(registered.top / "work")
    planned = registered.ask_json("mount", "faces@1", "--backend", "cas", "-n")
    assert ("cas", False) == (planned["backend"], planned["created"])
    assert not (registered.home / "cache").exists()
