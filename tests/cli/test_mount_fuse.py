"""`dataguard mount --backend fuse`: it lasts, it refuses, and what it refused becomes findings."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest
from asking import tree_state

from support.mountcleanup import mounts_below, needs_fuse, needs_mounts

pytestmark = [needs_mounts, needs_fuse]


@pytest.fixture
def ws(registered):
    return registered.workspace(mounted=())


@pytest.fixture
def mounted(registered, ws):
    return registered.ask_json("mount", "faces@1", "-w", str(ws), "--backend", "fuse")


def server(registered):
    [place] = (registered.home / "state" / "fuse").iterdir()
    return int((place / "server.pid").read_text().split()[0])


def findings(registered):
    found = registered.ask_json("findings", "list")["findings"]
    return [(one["code"], one["severity"], one["path"], one["count"]) for one in found]


def test_mount_is_enforced_proven_and_keeps_what_is_there(registered, ws, mounted):
    assert ("fuse", "enforced", True) == tuple(
        mounted[key] for key in ("backend", "guarantee", "created")
    )
    assert {"refused", "skipped"} == {step["result"] for step in mounted["probe"]}
    again = registered.ask_json("mount", "faces@1", "-w", str(ws), "--backend", "fuse")
    restored = registered.ask_json("mount", "-w", str(ws))
    assert (("keep", "fuse"), ("keep", "fuse")) == tuple(
        (one["step"], one["backend"]) for one in (again, restored)
    )
    assert registered.ask_json("gate", "-w", str(ws))["allowed"]


def test_mount_lasts_after_the_command(registered, ws):
    done = registered.ask_process("mount", "faces@1", "-w", str(ws), "--backend", "fuse")
    assert 0 == done.code, done.err
    assert b"hello\n" == (ws / "data" / "faces" / "a").read_bytes()
    registered.ask_json("unmount", "--all", "-w", str(ws))
    assert ([], []) == (mounts_below(ws), os.listdir(ws / "data"))


def test_refused_writes_are_findings_after_unmount_and_probes_are_not(registered, ws, mounted):
    before = tree_state(registered.gold)
    script = f"cd '{mounted['target']}'; for i in 1 2 3; do echo x >a; done; rm dir/b; mkdir new"
    subprocess.run(["sh", "-c", script], check=False, capture_output=True)
    registered.ask_json("mount", "faces@1", "-w", str(ws), "--backend", "fuse")
    assert [] == findings(registered)
    registered.ask_json("unmount", "--all", "-w", str(ws))
    expected = [("a", 3), ("dir/b", 1), ("new", 1)]
    assert [("DG302", "warning", *one) for one in expected] == sorted(findings(registered))
    assert before == tree_state(registered.gold)
    assert [] == os.listdir(registered.home / "state" / "fuse")


def test_finding_names_the_process(registered, ws, mounted):
    with pytest.raises(OSError, match="Read-only"):
        os.unlink(f"{mounted['target']}/a")
    registered.ask_json("unmount", "--all", "-w", str(ws))
    [found] = registered.ask_json("findings", "list")["findings"]
    [attempt] = found["evidence"]["attempts"]
    assert ("unlink", os.getpid(), os.getuid()) == tuple(
        attempt[key] for key in ("operation", "pid", "uid")
    )


@pytest.fixture
def dead(registered, mounted):
    pid = server(registered)
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # the command ran in this process
    return mounted["target"]


def test_dead_server_is_stale_and_the_gate_refuses(registered, ws, dead):
    shown = registered.ask_json("workspace", "show", str(ws))
    assert ["stale"] == [one["status"] for one in shown["mounts"]]
    assert not registered.ask_json("gate", "-w", str(ws), code=3)["allowed"]
    assert dead in mounts_below(ws)


def test_dead_server_is_replaced_by_mount(registered, ws, dead):
    again = registered.ask_json("mount", "faces@1", "-w", str(ws), "--backend", "fuse")
    assert "remake" == again["step"]
    with open(f"{dead}/a", "rb") as stream:
        assert b"hello\n" == stream.read()
    assert [dead] == mounts_below(ws)


def test_dead_server_is_cleaned_up_by_unmount(registered, ws, dead):
    [result] = registered.ask_json("unmount", "faces", "-w", str(ws))["unmounted"]
    assert ("stale", dead) == (result["status"], result["target"])
    assert ([], []) == (mounts_below(ws), os.listdir(ws / "data"))


def test_root_gets_bind_where_nothing_is_asked(registered, ws):
    assert "bind" == registered.ask_json("mount", "faces@1", "-w", str(ws))["backend"]


def test_bind_by_name_takes_the_place_of_the_server(registered, ws, mounted):
    now = registered.ask_json("mount", "faces@1", "-w", str(ws), "--backend", "bind")
    assert ("bind", "remake") == (now["backend"], now["step"])
    assert [mounted["target"]] == mounts_below(ws)
