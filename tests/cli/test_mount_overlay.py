"""A lasting overlay: mounted, used, proved and taken away as any other mount."""

from __future__ import annotations

import os

import pytest

from support.mountcleanup import fingerprint, mount_command, mounts_below, needs_mounts

pytestmark = needs_mounts


@pytest.fixture
def mounted(registered):
    registered.ask_json("workspace", "init", "work", "--outputs", str(registered.top / "out"))
    os.chdir(registered.top / "work")
    found = registered.ask_json("mount", "faces@1", "--backend", "overlay")
    assert ("overlay", "enforced") == (found["backend"], found["guarantee"])
    assert {"refused"} == {step["result"] for step in found["probe"]}
    return registered


def test_mount_is_kept_by_the_next_command_and_undone_without_a_trace(mounted):
    again = mounted.ask_json("mount")
    assert (False, "overlay") == (again["created"], again["backend"])
    mounted.ask_json("unmount", "faces")
    assert ([], []) == (mounts_below(mounted.top), os.listdir("data"))


def test_jobs_read_through_it_and_their_writes_are_refused_or_routed(mounted):
    before = fingerprint(mounted.gold)
    script = "cat $DATAGUARD_INPUT_FACES/a > {out}/read; echo > $DATAGUARD_INPUT_FACES/new"
    refused = mounted.ask_json("run", "--", "sh", "-c", script, code=2)
    assert ("failed", []) == (refused["state"], refused["diverted"])
    led = mounted.ask_json("run", "--writes", "route", "--", "sh", "-c", script)
    assert ["new"] == [one["gold_path"] for one in led["diverted"]]
    assert before == fingerprint(mounted.gold)


def test_gate_refuses_what_was_mounted_over_it(mounted):
    assert mounted.ask_json("gate")["allowed"]
    mount_command("-t", "tmpfs", "none", mounted.top / "work" / "data" / "faces")
    found = mounted.ask_json("gate", code=3)
    assert ["DG401"] == [check["code"] for check in found["checks"] if not check["ok"]]
