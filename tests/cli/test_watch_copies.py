"""`dataguard watch` finds copies of gold while they are made, where people work."""

from __future__ import annotations

import os
import shutil

import pytest

from support.deniedmounts import mounted_by_somebody_else
from support.mountcleanup import needs_mounts
from support.watching import watching_command

pytestmark = needs_mounts
SOURCES = ("fanotify", "inotify")


@pytest.fixture
def workspace(registered):
    return registered.workspace()


def watcher_of(world, *words):
    beats = world.home / "state" / "watch"
    return watching_command(*words, "--format", "jsonl", heartbeats=beats)


def is_ready(watcher, world, place):
    """Make copies until one is told: areas are watched a moment after gold is."""
    number = 0

    def is_told(one):
        nonlocal number
        number += 1
        shutil.copy(world.gold / "a", place / f"ready-{number}")
        return any("/ready-" in row["path"] for row in one.rows)

    watcher.wait(is_told)


def copies_of(watcher):
    """What was told of copies, by name."""
    return {
        os.path.basename(row["path"]): row
        for row in watcher.rows
        if row["code"] == "DG201" and "/ready-" not in row["path"]
    }


@pytest.mark.parametrize("source", SOURCES)
def test_copy_in_a_workspace_and_its_outputs_is_told_with_the_original(
    registered, workspace, source
):
    outputs = registered.top / "outputs"
    with watcher_of(registered, "--source", source) as watcher:
        is_ready(watcher, registered, workspace)
        shutil.copy(registered.gold / "dir" / "b", workspace / "mine")
        shutil.copy(registered.gold / "a", outputs / "result")
        (workspace / "other").write_bytes(b"x" * (registered.gold / "a").stat().st_size)
        os.link(registered.gold / "a", workspace / "linked")
        watcher.wait(lambda one: {"mine", "result"} <= {*copies_of(one)})
        shutil.copy(registered.gold / "a", workspace / "last")
        watcher.wait(lambda one: "last" in copies_of(one))
    found = copies_of(watcher)
    assert {"mine", "result", "last"} == {*found}
    told = found["result"]
    assert str(registered.gold / "a") == told["evidence"]["original"]
    assert (registered.gold / "a").stat().st_size == told["evidence"]["bytes"]
    assert {"reclaimable", "writer"} <= {*told["evidence"]}
    assert [] == [row for row in watcher.rows if row["code"].startswith("DG9")]


def test_outputs_of_a_run_that_are_copies_are_told(registered, workspace):
    with watcher_of(registered) as watcher:
        is_ready(watcher, registered, workspace)
        words = ("run", "-w", str(workspace), "--", "cp", str(registered.gold / "a"), "{out}/twin")
        assert 0 == registered.ask_process(*words).code
        watcher.wait(lambda one: "twin" in copies_of(one))


def test_copy_that_is_gone_or_other_is_resolved(registered, workspace):
    with watcher_of(registered) as watcher:
        is_ready(watcher, registered, workspace)
        for name in ("one", "two"):
            shutil.copy(registered.gold / "a", workspace / name)
        watcher.wait(lambda one: {"one", "two"} <= {*copies_of(one)})
        (workspace / "one").unlink()
        (workspace / "two").write_bytes(b"own work")

        def standing():
            listed = registered.ask_json("findings", "list")["findings"]
            return {os.path.basename(one["path"]) for one in listed}

        watcher.wait(lambda _: not {"one", "two"} & standing())


def test_directory_of_copies_that_is_moved_in_is_told(registered, workspace):
    elsewhere = registered.top / "elsewhere"
    shutil.copytree(registered.gold / "dir", elsewhere)
    with watcher_of(registered) as watcher:
        is_ready(watcher, registered, workspace)
        elsewhere.rename(workspace / "arrived")
        watcher.wait(lambda one: "b" in copies_of(one))


def test_areas_are_explained(registered, workspace):
    areas = registered.ask_json("watch", "--explain")["areas"]
    assert {str(workspace), str(registered.top / "outputs")} == {one["place"] for one in areas}
    text = registered.ask("watch", "--explain", "--source", "polling").out
    assert "not told as they are made" in text


@pytest.mark.parametrize("source", SOURCES)
def test_mount_of_somebody_else_in_a_workspace_is_left_out_and_told_once(
    registered, workspace, source
):
    (workspace / "theirs").mkdir()
    with (
        mounted_by_somebody_else(workspace / "theirs"),
        watcher_of(registered, "--source", source) as watcher,
    ):
        is_ready(watcher, registered, workspace)
        watcher.end()
        told = [line for line in watcher.remarks if str(workspace / "theirs") in line]
        assert (1, True) == (len(told), "left out" in told[0])
        assert [] == [row for row in watcher.rows if row["code"].startswith("DG9")]
