"""A mount that is writable, gone or replaced is found by the next quick audit, for each backend."""

from __future__ import annotations

import json
import os
import shutil
import signal

import pytest

from support.containers import in_container
from support.mountcleanup import (
    mount_command,
    mounts_below,
    needs_fuse,
    needs_mounts,
    unmount_command,
)

pytestmark = needs_mounts

FUSE = pytest.param("fuse", marks=needs_fuse)


class Mounted:
    """A mount of faces@1, and audits of it."""

    def __init__(self, world, backend):
        self.world, self.backend = world, backend
        self.ws = world.workspace(mounted=())
        self.target = str(self.ws / "data" / "faces")
        self.mount()

    def mount(self):
        words = ("mount", "faces@1", "-w", str(self.ws), "--backend", self.backend)
        self.world.ask_json(*words)

    def audit(self, code=3):
        found = self.world.ask_json("audit", "--level", "quick", code=code)["findings"]
        return [(one["code"], one["severity"], one["path"]) for one in found]

    def listed(self):
        found = self.world.ask_json("findings", "list")["findings"]
        return [one["code"] for one in found if one["state"] == "open"]

    def replace(self):
        """Let something else be at the mount's place."""
        if mounts_below(self.target):
            unmount_command(self.target)
        if os.path.islink(self.target):
            os.unlink(self.target)
        shutil.rmtree(self.target, ignore_errors=True)
        os.makedirs(f"{self.target}/other")


@pytest.fixture
def mounted(registered, request):
    return Mounted(registered, request.param)


def each(*backends):
    return pytest.mark.parametrize("mounted", backends, indirect=True)


@each("bind", "overlay", "declared", "symlink", FUSE)
def test_mount_that_is_as_it_should_be_is_no_finding(mounted):
    assert [] == mounted.audit(code=0)


@each("bind", "overlay")
def test_mount_that_was_remounted_writable_is_found(mounted):
    mount_command("-o", "remount,bind,rw", mounted.target)
    assert [("DG402", "error", mounted.target)] == mounted.audit()
    assert ["DG402"] == mounted.listed()


@each("bind", FUSE)
def test_writable_mount_below_is_found(mounted):
    mount_command("-t", "tmpfs", "none", f"{mounted.target}/dir")
    assert [("DG402", "error", mounted.target)] == mounted.audit()


@each("bind", "overlay", FUSE)
def test_mount_that_is_gone_is_found(mounted):
    unmount_command(mounted.target)
    assert [("DG401", "error", mounted.target)] == mounted.audit()


@each("bind", "overlay", "declared", "symlink", FUSE)
def test_what_is_there_in_its_place_is_found(mounted):
    mounted.replace()
    assert [("DG401", "error", mounted.target)] == mounted.audit()


@each("bind", "overlay", FUSE)
def test_mount_that_another_one_covers_is_found(mounted):
    mount_command("-t", "tmpfs", "none", mounted.target)
    assert [("DG401", "error", mounted.target)] == mounted.audit()


@each(FUSE)
def test_dead_server_is_found(mounted):
    [place] = (mounted.world.home / "state" / "fuse").iterdir()
    pid = int((place / "server.pid").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # the command ran in this process
    assert [("DG401", "error", mounted.target)] == mounted.audit()


@each("bind")
def test_finding_is_resolved_when_the_mount_is_made_again(mounted):
    mount_command("-o", "remount,bind,rw", mounted.target)
    mounted.audit()
    mounted.mount()
    assert ([], []) == (mounted.audit(code=0), mounted.listed())


@each("bind")
def test_finding_is_resolved_when_the_mount_was_taken_away(mounted):
    unmount_command(mounted.target)
    mounted.audit()
    mounted.world.ask_json("unmount", "--all", "-w", str(mounted.ws))
    assert ([], []) == (mounted.audit(code=0), mounted.listed())


@each("bind")
def test_rehearsed_audit_and_slices_record_nothing_of_mounts(mounted):
    unmount_command(mounted.target)
    found = mounted.world.ask_json("audit", "--dry-run", code=3)["findings"]
    mounted.world.ask_json("audit", "faces", "--slice", "1/1")
    assert (["DG401"], []) == ([one["code"] for one in found], mounted.listed())


@each("bind")
def test_mount_where_nobody_else_may_look_is_unchecked_for_its_owner_alone(mounted):
    mounted.world.gold.chmod(0o755)
    mounted.ws.chmod(0o700)
    code, found = mounted.world.ask_as_user("audit", "--level", "quick")
    assert (0, []) == (code, found["findings"])


def test_runtime_that_shows_gold_writable_by_now_is_found(registered):
    ws = registered.workspace(mounted=())
    gold = str(registered.gold)
    read_only = f'mount --bind {gold} "$ROOT{gold}"; mount -o remount,bind,ro "$ROOT{gold}"'
    mount = ("mount", "faces@1", "-w", str(ws), "--format", "json")
    assert 0 == in_container(registered.top / "one", mount, runtime=read_only)[0]
    audit = ("audit", "--level", "quick", "--format", "json")
    _, out, _ = in_container(registered.top / "two", audit, runtime=read_only)
    assert [] == json.loads(out)["findings"]
    code, out, _ = in_container(registered.top / "three", audit)
    [found] = json.loads(out)["findings"]
    assert (3, "DG402", gold) == (code, found["code"], found["path"])
