"""A run that is killed outright leaves no process, namespace, mount or lease."""

from __future__ import annotations

import os
import random
import time
from functools import partial
from pathlib import Path

import pytest

from support import seccomp
from support.mountcleanup import mounts_below

SHORT, LONG = 10, 100
"""Kills for each kind of user: together 20, and 200."""

LATEST_S = 0.9


def processes_of(marker):
    """Return the processes whose words or environment hold a text."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path("/proc", name, "cmdline").read_bytes()
            environment = Path("/proc", name, "environ").read_bytes()
        except OSError:
            continue
        if marker in words + environment and int(name) != os.getpid():
            found[int(name)] = words
    return found


def gone(marker, within_s=20):
    """Return what is still there when nothing changes any more."""
    deadline = time.monotonic() + within_s
    while (left := processes_of(marker)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def kill_some(place, count, shell, *options):
    marker = f"{place.top}/marker-{os.getpid()}"
    before = sorted(mounts_below(place.top))
    chance = random.Random(count)  # the same moments each time, as far as a clock can say
    script = f"echo partial > {{out}}/p; setsid sleep 999 {marker} & (sleep 999 & ); sleep 999"
    job = ("run", "-w", place.work, *options, "--", "env", f"MARKER={marker}", "sh", "-c", script)
    for _ in range(count):
        running = shell.start(*job)
        time.sleep(chance.uniform(0, LATEST_S))
        os.kill(running.pid, 9)
        running.wait()
        assert {} == gone(marker.encode())
        assert before == sorted(mounts_below(place.top))
        running.end()


def check_records(place):
    """Ask once more: whatever was left is over, and nothing but the mount holds the version."""
    found = place.shell.ask("show", "gold@1")
    assert [("mount", "live")] == [(one["kind"], one["state"]) for one in found["leases"]]
    place.shell.ask("unmount", "--all", "-w", place.work)
    place.shell.ask("withdraw", "gold@1", "--reason", "over", "--dry-run")
    place.shell.ask("mount", "-w", place.work)
    runs = place.shell.ask("lineage", "gold@1")["runs"]
    states = {one["id"]: one["state"] for one in runs}
    assert set(states.values()) <= {"interrupted"}
    for one in runs:
        directory = Path(one["outputs"])
        assert directory.is_dir()
        if (directory / "p").exists():
            assert (directory / "p").read_text() in ("", "partial\n")
    return len(runs)


def test_killed_runs_leave_nothing_behind(place):
    kill_some(place, SHORT, place.shell)
    place.shell.ask("list")
    check_records(place)
    assert 0 == place.shell.call("audit").code


def check_routed(place):
    """What was led away is where the records say, and nowhere else."""
    runs = place.shell.ask("lineage", "gold@1")["runs"]
    left = {one["metadata"]["diverted"] for one in runs if "diverted" in one["metadata"]}
    top = place.mine / "out" / "runs"
    assert left == {str(path) for path in top.glob(".diverted-*")}
    assert ["a", "dir"] == sorted(os.listdir(place.gold))


def test_killed_runs_with_routed_writes_leave_only_what_was_written(place):
    kill_some(place, 5, place.shell, "--writes", "route")
    place.shell.ask("list")
    check_records(place)
    check_routed(place)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_hundred_killed_runs_with_routed_writes_leave_only_what_was_written(place):
    kill_some(place, LONG // 2, place.shell, "--writes", "route")
    place.shell.ask("list")
    check_records(place)
    check_routed(place)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_two_hundred_killed_runs_leave_nothing_behind(place):
    kill_some(place, LONG, place.shell)
    place.shell.ask("list")
    assert check_records(place) > 0


def test_killed_runs_leave_nothing_behind_without_namespaces(place):
    host = place.on_a_host(partial(seccomp.refuse, seccomp.NAMESPACES, 1))
    kill_some(place, 5, host)
    place.shell.ask("list")
    check_records(place)
