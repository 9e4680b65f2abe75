"""Gold that is mounted in a source is not registered a second time."""

from __future__ import annotations

import os

import pytest

from support.mountcleanup import needs_mounts

pytestmark = needs_mounts


def mounted(world, backend):
    world.ask_json("workspace", "init", "work", "--outputs", str(world.top / "out"))
    (world.top / "work" / "own").write_text("mine\n")
    found = world.ask_json("mount", "faces@1", "-w", "work", "--backend", backend)
    assert backend == found["backend"]
    return str(world.top / "work")


@pytest.mark.parametrize("backend", ["bind", "overlay", "cas", "fuse"])
def test_source_with_gold_mounted_in_it_is_refused_before_anything_is_read(registered, backend):
    work = mounted(registered, backend)
    os.mkfifo(os.path.join(work, "pipe"))  # reading would tell this one
    error = registered.fails("register", "work", work)
    assert (11, "conflict") == (error["exit_code"], error["code"])
    assert f"{work}/data/faces (faces@1, {backend})" in error["message"]
    assert f"dataguard unmount --all -w {work}" in error["hint"]
    assert "--exclude /data/faces/" in error["hint"]
    assert ["faces"] == [one["dataset"] for one in registered.ask_json("list")["datasets"]]


def test_dry_run_is_refused_too(registered):
    work = mounted(registered, "bind")
    assert 11 == registered.fails("register", "work", work, "-n")["exit_code"]


@pytest.mark.parametrize("pattern", ["/data/faces/", "data/", "faces"])
def test_mounts_that_are_excluded_are_no_obstacle(registered, pattern):
    work = mounted(registered, "bind")
    found = registered.ask_json("register", "work", work, "--exclude", pattern)
    assert found["created"]


def test_pattern_that_leaves_out_what_is_in_a_mount_is_not_enough(registered):
    work = mounted(registered, "bind")
    error = registered.fails("register", "work", work, "--exclude", "*.tmp")
    assert 11 == error["exit_code"]


def test_unmounted_as_the_hint_says_it_is_registered(registered):
    work = mounted(registered, "bind")
    registered.ask_json("unmount", "--all", "-w", work)
    assert registered.ask_json("register", "work", work)["created"]


def test_what_another_home_mounted_is_known_by_its_name(registered, monkeypatch):
    work = mounted(registered, "overlay")
    with monkeypatch.context() as patch:
        patch.setenv("DATAGUARD_HOME", str(registered.top / "other"))
        error = registered.fails("register", "work", work)
    assert (11, True) == (error["exit_code"], f"{work}/data/faces" in error["message"])
