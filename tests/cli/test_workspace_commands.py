from __future__ import annotations

import os
import subprocess

import pytest
from asking import tree_state

from support.mountcleanup import mount_command, mounts_below, needs_mounts

pytestmark = needs_mounts


def test_init_makes_a_workspace_and_keeps_what_is_there(world):
    (world.top / "ws").mkdir()
    (world.top / "ws" / "train.py").write_text("pass\n")
    first = world.ask_json("workspace", "init", "ws", "--outputs", "out")
    again = world.ask_json("workspace", "init", "ws", "--outputs", "out")
    assert (True, False) == (first["created"], again["created"])
    assert "pass\n" == (world.top / "ws" / "train.py").read_text()
    assert [str(world.top / "ws")] == [
        one["directory"] for one in world.ask_json("workspace", "list")["workspaces"]
    ]


@pytest.mark.parametrize(
    ("directory", "outputs", "code"),
    [
        ("ws", "../gold/out", 11),
        ("ws", "../gold", 11),
        ("gold/ws", "../../out", 11),
        ("ws", "data/out", 2),
        ("ws", "", 2),
    ],
)
def test_init_in_a_place_for_something_else_is_refused(registered, directory, outputs, code):
    before = tree_state(registered.gold)
    error = registered.fails("workspace", "init", directory, "--outputs", outputs)
    assert code == error["exit_code"], error
    assert before == tree_state(registered.gold)


def test_init_with_other_outputs_is_a_conflict(world):
    world.ask_json("workspace", "init", "ws", "--outputs", "out")
    assert 11 == world.fails("workspace", "init", "ws", "--outputs", "other")["exit_code"]


def test_outputs_in_the_data_of_another_workspace_are_refused(world):
    world.ask_json("workspace", "init", "one", "--outputs", "out")
    error = world.fails("workspace", "init", "two", "--outputs", str(world.top / "one/data/x"))
    assert 11 == error["exit_code"]


def test_mount_is_read_only_and_says_so(registered):
    ws = registered.workspace(mounted=())
    found = registered.ask_json("mount", "faces", "-w", str(ws))
    assert ("faces", 1, "bind", "enforced", True) == tuple(
        found[key] for key in ("dataset", "version", "backend", "guarantee", "created")
    )
    assert str(ws / "data" / "faces") == found["target"]
    assert {"refused"} == {step["result"] for step in found["probe"]}
    assert b"hello\n" == (ws / "data" / "faces" / "a").read_bytes()
    with pytest.raises(OSError, match="Read-only"):
        (ws / "data" / "faces" / "a").write_bytes(b"x")


def test_mount_writes_declaration_and_lock_that_restore_it(registered):
    ws = registered.workspace()
    files = tree_state(ws)
    registered.ask_json("unmount", "--all", "-w", str(ws))
    assert [] == mounts_below(ws)
    restored = registered.ask_json("mount", "-w", str(ws))
    assert [("faces", 1)] == [(m["dataset"], m["version"]) for m in restored["mounts"]]
    assert files == tree_state(ws)


def test_mount_again_keeps_what_is_mounted(registered):
    ws = registered.workspace()
    again = registered.ask_json("mount", "faces@1", "-w", str(ws))
    assert (False, "keep") == (again["created"], again["step"])


def test_mount_under_another_name(registered):
    ws = registered.workspace(mounted=())
    found = registered.ask_json("mount", "faces@1", "-w", str(ws), "--as", "people")
    assert str(ws / "data" / "people") == found["target"]


def test_workspace_is_found_from_below(registered, monkeypatch):
    ws = registered.workspace()
    (ws / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(ws / "deep" / "er")
    assert str(ws) == registered.ask_json("workspace", "show")["workspace"]["directory"]
    assert registered.ask_json("gate")["allowed"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("nosuch",), 10),
        (("faces@9",), 10),
        (("faces", "--as", "../x"), 2),
        (("faces", "--as", ""), 2),
        (("faces", "--backend", "nosuch"), 2),
        (("faces", "-w", "nowhere"), 10),
        (("--as", "x"), 2),
    ],
)
def test_mount_that_makes_no_sense_is_refused(registered, words, code):
    ws = registered.workspace(mounted=())
    words = words if "-w" in words else (*words, "-w", str(ws))
    assert code == registered.fails("mount", *words)["exit_code"]
    assert [] == mounts_below(ws)


def test_mount_over_something_foreign_is_a_conflict(registered):
    ws = registered.workspace(mounted=())
    (ws / "data" / "faces").mkdir()
    (ws / "data" / "faces" / "mine").touch()
    assert 11 == registered.fails("mount", "faces", "-w", str(ws))["exit_code"]
    assert (ws / "data" / "faces" / "mine").exists()


def test_unmount_over_a_foreign_mount_is_a_conflict(registered):
    ws = registered.workspace()
    target = ws / "data" / "faces"
    mount_command("-t", "tmpfs", "none", target)
    assert 11 == registered.fails("unmount", "faces", "-w", str(ws))["exit_code"]
    subprocess.run(["umount", target], check=True)


def test_mount_of_a_version_that_may_not_be_used_is_a_conflict(registered):
    ws = registered.workspace(mounted=())
    registered.ask_json("quarantine", "faces@1", "--reason", "labels")
    assert 11 == registered.fails("mount", "faces@1", "-w", str(ws))["exit_code"]


def test_mount_weaker_than_the_policy_asks_is_refused(registered):
    ws = registered.workspace(mounted=())
    words = ("--backend", "symlink", "--policy", "regulated")
    error = registered.fails("mount", "faces@1", "-w", str(ws), *words)
    assert ("policy", 2) == (error["code"], error["exit_code"])


def test_symlink_says_that_it_enforces_nothing(registered):
    ws = registered.workspace(mounted=())
    words = ("faces@1", "-w", str(ws), "--backend", "symlink")
    found = registered.ask_json("mount", *words)
    assert ("symlink", "none") == (found["backend"], found["guarantee"])
    assert "whoever may write" in registered.ask("mount", *words).out


def test_withdraw_is_refused_while_mounted_unless_forced(registered):
    registered.workspace()
    error = registered.fails("withdraw", "faces@1", "--reason", "old")
    assert 11 == error["exit_code"]
    assert "ws/data/faces" in error["message"]
    forced = registered.ask_json("withdraw", "faces@1", "--reason", "old", "--force")
    assert 1 == len(forced["mounts"])


@pytest.mark.parametrize("selector", ["faces", "faces@1"])
def test_unmount_leaves_nothing_behind(registered, selector):
    ws = registered.workspace()
    found = registered.ask_json("unmount", selector, "-w", str(ws))
    assert ["live"] == [one["status"] for one in found["unmounted"]]
    assert ([], []) == (os.listdir(ws / "data"), mounts_below(ws))


@pytest.mark.parametrize(("words", "code"), [(("nosuch",), 10), ((), 2), (("faces", "--all"), 2)])
def test_unmount_that_makes_no_sense_is_refused(registered, words, code):
    ws = registered.workspace()
    assert code == registered.fails("unmount", *words, "-w", str(ws))["exit_code"]
    assert 1 == len(mounts_below(ws))


def test_forget_takes_the_dataset_out_of_the_files(registered):
    ws = registered.workspace()
    registered.ask_json("unmount", "faces", "--forget", "-w", str(ws))
    shown = registered.ask_json("workspace", "show", str(ws))["workspace"]
    assert ({}, {}) == (shown["datasets"], shown["lock"])


def test_remove_asks_and_then_keeps_files_and_outputs(registered):
    ws = registered.workspace()
    error = registered.fails("workspace", "remove", str(ws))
    assert (2, "add --yes to go ahead") == (error["exit_code"], error["hint"])
    registered.ask_json("workspace", "remove", str(ws), "--yes")
    assert [] == mounts_below(ws)
    assert (ws / "dataguard.toml").exists()
    assert [] == registered.ask_json("workspace", "list")["workspaces"]
    assert 10 == registered.fails("workspace", "remove", "nowhere", "--yes")["exit_code"]


def test_dry_runs_change_nothing(registered):
    ws = registered.workspace()
    before = tree_state(registered.top)
    for words in (
        ("workspace", "init", "another", "--outputs", "out"),
        ("mount", "faces@1", "-w", str(ws), "--as", "again"),
        ("unmount", "--all", "-w", str(ws)),
        ("workspace", "remove", str(ws)),
    ):
        text = registered.ask(*words, "--dry-run")
        assert 0 == text.code, text
        assert "would" in text.out or "nothing was changed" in text.out
        registered.ask_json(*words, "-n")
    assert before == tree_state(registered.top)
    assert 1 == len(mounts_below(ws))


@pytest.mark.parametrize(
    "place",
    [
        "gold",
        "gold/new",
        "ws/../gold/dir",
        "alias/x",
        "bound/x",
        "ws/data/faces",
        "ws/data/faces/x",
    ],
)
def test_gate_refuses_outputs_that_lead_into_gold(registered, place):
    ws = registered.workspace()
    (registered.top / "alias").symlink_to("gold/dir")
    (registered.top / "bound").mkdir()
    mount_command("--bind", registered.gold, registered.top / "bound")
    found = registered.ask_json("gate", "-w", str(ws), "--output", place, code=3)
    refused = [check for check in found["checks"] if not check["ok"]]
    assert [("output place", "DG303")] == [(one["name"], one["code"]) for one in refused]


def test_gate_tells_each_check_with_its_reason(registered):
    ws = registered.workspace()
    found = registered.ask_json("gate", "-w", str(ws))
    assert found["allowed"]
    assert all(check["ok"] and check["reason"] for check in found["checks"])
    assert registered.ask("gate", "-w", str(ws)).out.endswith("allowed by policy `default`\n")


def replaced(world):
    target = world.top / "ws" / "data" / "faces"
    subprocess.run(["umount", target], check=True)
    mount_command("-t", "tmpfs", "none", target)


def damaged(world):
    (world.gold / "a").write_bytes(b"other\n")
    world.ask_json("audit", code=3)


def quarantined(world):
    world.ask_json("quarantine", "faces@1", "--reason", "labels")


@pytest.mark.parametrize(
    ("make", "name"),
    [(replaced, "mount"), (damaged, "audit result"), (quarantined, "state")],
)
def test_gate_refuses_what_is_not_in_order(registered, make, name):
    ws = registered.workspace()
    make(registered)
    found = registered.ask_json("gate", "-w", str(ws), code=3)
    assert name in [check["name"] for check in found["checks"] if not check["ok"]]


@pytest.mark.parametrize(
    ("words", "name"),
    [(("--input", "faces"), "pinned"), (("--input", "nosuch@1"), "known")],
)
def test_gate_refuses_inputs_that_are_not_pinned_or_known(registered, words, name):
    found = registered.ask_json("gate", *words, code=3)
    assert name in [check["name"] for check in found["checks"] if not check["ok"]]


def test_gate_without_anything_to_check_is_a_usage_error(world):
    assert 2 == world.fails("gate")["exit_code"]
