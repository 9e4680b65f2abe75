"""Leases as commands show, respect and tidy them; races are forced, not hoped for."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from asking import COMMAND

from dataguard.actions import mount, run, standing
from dataguard.actions.settings import load, load_policy
from dataguard.cli.opening import open_context
from dataguard.cli.progress import choose
from dataguard.model.run import Run, RunInput, RunState
from support.mountcleanup import mounts_below, needs_mounts

pytestmark = needs_mounts


@pytest.fixture
def ws(registered):
    return registered.workspace()


@pytest.fixture
def changed(registered):
    """Have records of mounts in the catalog changed, as time and other hosts would."""

    def change(**values):
        settings = load({}, {"DATAGUARD_HOME": str(registered.home)}, workspace=None)
        policy = load_policy(settings).policy
        with (
            open_context(settings, policy, choose("never", quiet=True)) as ctx,
            ctx.catalog.transaction() as tx,
        ):
            for record in ctx.catalog.mounts():
                tx.put_mount(replace(record, **values))

    return change


@pytest.fixture
def running(registered, ws):
    """A job on its way, as run `now`."""
    script = "echo ready; exec sleep 60"
    words = ("run", "-w", str(ws), "--run-id", "now", "--", "sh", "-c", script)
    process = registered.start(*words)
    assert b"ready\n" == process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def leases(world, reference="faces@1"):
    return world.ask_json("show", reference)["leases"]


def states(world):
    return [(one["kind"], one["state"]) for one in leases(world)]


def test_show_lists_mounts_and_runs_as_leases(registered, ws, running):
    mount, job = leases(registered)
    assert ("mount", "live", str(ws / "data" / "faces"), "faces") == (
        *(mount["kind"], mount["state"], mount["subject"], mount["name"]),
    )
    assert ("run", "live", "now", running.pid) == (
        *(job["kind"], job["state"], job["subject"], job["process"]),
    )
    assert {("faces", 1, "root", str(ws))} == {
        (one["dataset"], one["version"], one["user"], one["workspace"]) for one in (mount, job)
    }
    text = registered.ask("show", "faces@1").out
    assert f"mounted at {ws}/data/faces by root on" in text
    assert "read by run now by root on" in text


def test_shell_holds_a_lease(registered, ws):
    words = ("shell", "-w", str(ws))
    process = registered.start(
        *words, stdin=subprocess.PIPE, env={**os.environ, "SHELL": "/bin/sh"}
    )
    try:
        process.stdin.write(b"echo ready\n")
        process.stdin.flush()
        assert b"ready\n" == process.stdout.readline()
        assert ("run", "live") in states(registered)
    finally:
        process.communicate(b"exit\n")


def test_withdraw_names_who_and_gives_a_hint_that_can_be_pasted(registered, ws):
    error = registered.fails("withdraw", "faces@1", "--reason", "old")
    assert 11 == error["exit_code"]
    assert f"mounted at {ws}/data/faces by root on" in error["message"]
    first = error["hint"].partition(";")[0]
    assert 0 == registered.ask(*shlex.split(first)[1:]).code
    assert "withdrawn" == registered.ask_json("withdraw", "faces@1", "--reason", "old")["state"]


def test_withdraw_is_refused_while_a_run_reads(registered, ws, running):
    registered.ask_json("unmount", "--all", "-w", str(ws))
    error = registered.fails("withdraw", "faces@1", "--reason", "old")
    assert (11, True) == (error["exit_code"], "read by run now by root" in error["message"])
    forced = registered.ask_json("withdraw", "faces@1", "--reason", "old", "--force")
    assert [("run", "live")] == [(one["kind"], one["state"]) for one in forced["leases"]]
    assert running.poll() is None


def test_lease_of_a_killed_run_ends_with_the_next_command(registered, ws, running):
    registered.ask_json("unmount", "--all", "-w", str(ws))
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    assert [] == leases(registered)
    (found,) = registered.ask_json("lineage", "now")["runs"]
    assert "interrupted" == found["state"]
    registered.ask_json("withdraw", "faces@1", "--reason", "old")


def test_mount_of_an_earlier_boot_is_reported_as_ended_once_and_forgotten(registered, ws, changed):
    subprocess.run(["umount", ws / "data" / "faces"], check=True)
    changed(boot_id="another boot")
    assert [("mount", "ended")] == states(registered)
    assert ([], []) == (states(registered), registered.ask_json("show", "faces@1")["mounts"])
    assert 3 == registered.ask("gate", "-w", str(ws)).code
    assert registered.ask_json("mount", "-w", str(ws))["created"]
    assert [("mount", "live")] == states(registered)


def test_mount_of_an_earlier_boot_holds_no_version_back(registered, ws, changed):
    subprocess.run(["umount", ws / "data" / "faces"], check=True)
    changed(boot_id="another boot")
    dry = registered.ask_json("withdraw", "faces@1", "--reason", "old", "--dry-run")
    assert ["ended"] == [one["state"] for one in dry["leases"]]
    assert "withdrawn" == registered.ask_json("withdraw", "faces@1", "--reason", "old")["state"]
    assert [] == states(registered)


@pytest.mark.parametrize("command", ["show", "withdraw"])
def test_mount_that_is_not_seen_is_unknown_and_holds(registered, ws, command):
    """Another mount namespace may have it; only `unmount` forgets it."""
    subprocess.run(["umount", ws / "data" / "faces"], check=True)
    if command == "show":
        assert [("mount", "unknown")] == states(registered)
    else:
        error = registered.fails("withdraw", "faces@1", "--reason", "old")
        assert "unknown: missing as seen from here" in error["message"]
    registered.ask_json("unmount", "--all", "-w", str(ws))
    assert [] == leases(registered)


def test_mount_in_another_namespace_is_not_forgotten(registered):
    ws = registered.workspace(mounted=())
    mounting = shlex.join([*COMMAND, "mount", "faces@1", "-w", str(ws)])
    script = f"{mounting} >&2; echo up; read line"
    words = ("unshare", "-m", "sh", "-c", script)
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert "up\n" == process.stdout.readline()
        assert [] == mounts_below(ws)
        assert [("mount", "unknown")] == states(registered)
        assert 11 == registered.ask("withdraw", "faces@1", "--reason", "old").code
        assert [("mount", "unknown")] == states(registered)
    finally:
        process.communicate("\n")


def test_mount_of_another_host_is_unknown_and_says_so(registered, ws, changed):
    changed(host="node-elsewhere")
    registered.ask_json("unmount", "--all", "-w", str(ws))
    (lease,) = leases(registered)
    assert ("unknown", "node-elsewhere") == (lease["state"], lease["host"])
    error = registered.fails("withdraw", "faces@1", "--reason", "old")
    assert "on another host" in error["message"]
    assert "look on node-elsewhere" in error["hint"]
    assert "--force" in error["hint"]
    registered.ask_json("withdraw", "faces@1", "--reason", "old", "--force")


def test_version_withdrawn_between_gate_and_record_starts_no_job(registered, monkeypatch):
    verify = run.verify

    def withdrawing(*arguments, **named):
        monkeypatch.setattr(run, "verify", verify)
        registered.ask_json("withdraw", "faces@1", "--reason", "licence")
        return verify(*arguments, **named)

    monkeypatch.setattr(run, "verify", withdrawing)
    out = registered.top / "out"
    words = ("run", "--input", "faces@1", "--output", str(out), "--run-id", "late")
    answer = registered.ask(*words, "--format", "json", "--", "touch", str(registered.top / "ran"))
    found = json.loads(answer.out.splitlines()[-1])
    assert (125, False, None) == (answer.code, found["allowed"], found["run"])
    assert ["state"] == [check["name"] for check in found["checks"] if not check["ok"]]
    assert ([], False) == (os.listdir(out / "runs"), (registered.top / "ran").exists())
    assert 10 == registered.ask("lineage", "late").code


def test_run_that_begins_while_its_version_is_withdrawn_is_seen(registered, monkeypatch):
    planned = standing._planned

    def running_then(ctx, version, *rest):
        result = planned(ctx, version, *rest)
        before = replace(ctx.process, namespace=0)  # a live process that cannot be seen from here
        record = Run(
            id="sudden",
            state=RunState.RUNNING,
            command=("true",),
            directory="/",
            workspace=None,
            outputs="/nowhere",
            inputs=(run_input(version),),
            actor=ctx.actor,
            process=before,
            started=ctx.clock(),
        )
        with ctx.catalog.transaction() as tx:
            tx.put_run(record)
        return result

    monkeypatch.setattr(standing, "_planned", running_then)
    error = registered.fails("withdraw", "faces@1", "--reason", "old")
    assert (11, True) == (error["exit_code"], "run sudden" in error["message"])
    assert "active" == registered.ask_json("show", "faces@1")["state"]


def test_version_withdrawn_between_resolution_and_mount_is_not_mounted(registered, monkeypatch):
    ws = registered.workspace(mounted=())
    steps = mount._steps

    def withdrawing(*arguments):
        monkeypatch.setattr(mount, "_steps", steps)
        registered.ask_json("withdraw", "faces@1", "--reason", "licence")
        return steps(*arguments)

    monkeypatch.setattr(mount, "_steps", withdrawing)
    assert 11 == registered.fails("mount", "faces@1", "-w", str(ws))["exit_code"]
    assert ([], []) == (mounts_below(ws), leases(registered))


def test_runs_and_a_withdrawal_at_the_same_time_agree_on_who_was_first(registered):
    """No run is recorded after the withdrawal, and none reads while it is withdrawn."""
    words = ("run", "--input", "faces@1", "--output", str(registered.top / "out"), "--", "true")
    jobs = [registered.start(*words) for _ in range(4)]
    codes = []
    while not codes or codes[-1] != 0:
        assert len(codes) < 500, codes
        codes.append(registered.ask("withdraw", "faces@1", "--reason", "licence").code)
    ended = [job.wait(60) for job in jobs]
    for job in jobs:
        job.communicate()
    events = registered.ask_json("catalog", "events")["events"]
    kinds = [one["kind"] for one in events]
    after = events[kinds.index("version.state_set") :]
    assert set(codes) <= {0, 11}
    assert set(ended) <= {0, 125}
    assert [] == [one for one in after if one["kind"] == "run.put"]
    assert ended.count(0) * 2 == kinds.count("run.put")


def test_quarantine_lists_leases_and_the_runs_since_the_last_good_audit(registered, ws):
    words = ("run", "-w", str(ws), "--run-id")
    registered.ask_json(*words, "early", "--", "true")
    registered.ask_json("audit", "faces@1")
    registered.ask_json(*words, "late", "--", "true")
    registered.ask_json("audit", "faces@1", "--level", "quick")
    found = registered.ask_json("quarantine", "faces@1", "--reason", "labels")
    assert [("mount", "live")] == [(one["kind"], one["state"]) for one in found["leases"]]
    (suspect,) = found["runs_since_good_audit"]
    outputs = registered.top / "outputs" / "runs" / "late"
    assert ("late", "complete", str(outputs)) == (
        *(suspect["run"], suspect["state"], suspect["outputs"]),
    )
    assert Path(suspect["outputs"]).is_dir()


def test_quarantined_version_refuses_mounts_gates_and_runs(registered, ws):
    registered.ask_json("quarantine", "faces@1", "--reason", "labels")
    other = registered.workspace("other", mounted=())
    assert 11 == registered.fails("mount", "faces@1", "-w", str(other))["exit_code"]
    assert 3 == registered.ask("gate", "-w", str(ws)).code
    assert 125 == registered.ask("run", "-w", str(ws), "--", "true").code


def run_input(version):
    return RunInput(version.dataset, version.number, str(version.root), "/", "faces", "-", "-")


def test_version_quarantined_once_more_while_it_is_released_stays_quarantined(
    registered, monkeypatch
):
    registered.ask_json("quarantine", "faces@1", "--reason", "odd labels")
    registered.ask_json("audit", "faces@1", "--level", "full")
    planned = standing._planned

    def again_meanwhile(ctx, version, state, reason):
        monkeypatch.setattr(standing, "_planned", planned)
        registered.ask_json("quarantine", "faces@1", "--reason", "worse than thought")
        return planned(ctx, version, state, reason)

    monkeypatch.setattr(standing, "_planned", again_meanwhile)
    error = registered.fails("release", "faces@1", "--reason", "clean")
    assert (11, True) == (error["exit_code"], "changed meanwhile" in error["message"])
    assert "quarantined" == registered.ask_json("show", "faces@1")["state"]
