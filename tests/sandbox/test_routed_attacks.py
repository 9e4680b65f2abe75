"""A job that tries to make dataguard itself, which no layer confines, do what it may not do."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from support.mountcleanup import fingerprint
from support.workplace import USER

ROOT = pytest.mark.parametrize("place", [0], indirect=True, ids=["root"])
USERS = pytest.mark.parametrize("place", [USER], indirect=True, ids=["user"])


def routed(place, script, *options, **how):
    words = ("--writes", "route", *options)
    return place.run(f"cd $DATAGUARD_INPUT_GOLD; {script}", *words, **how)


def kinds(report):
    return {one["gold_path"]: one["kind"] for one in report["diverted"]}


@pytest.fixture
def other(place):
    """Gold of the same user that is no input of the job."""
    gold = place.top / "other"
    (gold / "work").mkdir(parents=True)
    (gold / "work" / "file").write_text("other\n")
    for path in (gold, gold / "work", gold / "work" / "file"):
        os.chown(path, place.uid, place.uid)
    place.shell.ask("register", "other", gold)
    return gold


def test_layers_that_a_job_puts_in_place_of_its_own_lead_nowhere(place, other):
    before = fingerprint(other)
    outputs = place.mine / "out"
    report = routed(
        place,
        f"echo real > new; cd {outputs}; mv runs moved;"
        "layers=runs/$(basename moved/.diverted-*); mkdir -p $layers/gold;"
        f"ln -s {other} $layers/gold/upper; ln -s {other} $layers/gold/work",
        codes=(0, 1, 3, 4),
    )
    assert before == fingerprint(other)
    assert {"new": "new"} == kinds(report)
    (kept,) = (outputs / "moved").glob("*/diverted/gold/*")
    assert "real\n" == kept.read_text()
    assert [] == list((outputs / "moved").glob(".diverted-*"))


def test_marks_that_a_job_forges_tell_nothing(place):
    """Both spaces: the kernel refuses or renames one, and passes on the other."""
    script = """
import os
os.makedirs("dir2"); open("plain", "w").close(); os.mkdir("made")
for space in ("user.overlay.", "trusted.overlay."):
    for mark in ("origin", "opaque", "redirect", "metacopy", "whiteout"):
        for path in ("dir", "dir/b", "made", "plain"):
            try:
                os.setxattr(path, space + mark, b"y")
            except OSError:
                pass
"""
    forge = place.mine / "forge.py"
    forge.write_text(script)
    report = routed(place, f"python3 {forge}")
    found = kinds(report)
    assert {"new"} == {found.pop(name) for name in ("dir2", "plain", "made")}
    assert set(found) <= {"dir", "dir/b"}
    assert {"metadata"} >= set(found.values())


def test_whiteouts_that_a_job_makes_are_no_deletions(place):
    script = """
import os, stat
for name in ("a", "dir/b", "new"):
    try:
        os.mknod(name, stat.S_IFCHR | 0o666, os.makedev(0, 0))
    except OSError:
        pass
os.mkdir("d2")
try:
    os.mknod("d2/w", stat.S_IFCHR | 0o666, os.makedev(0, 0))
except OSError:
    pass
"""
    forge = place.mine / "forge.py"
    forge.write_text(script)
    report = routed(place, f"python3 {forge}")
    assert {"d2": "new"} == kinds(report)


def test_what_was_closed_to_others_is_closed_in_the_harvest(place):
    (place.gold / "dir").chmod(0o700)
    report = routed(place, "echo > dir/new; mkdir -m 700 private; echo > private/x")
    below = Path(report["outputs_directory"], "diverted", "gold")
    modes = {name: below.joinpath(name).stat().st_mode & 0o777 for name in ("dir", "private")}
    assert {"dir": 0o700, "private": 0o700} == modes


@ROOT
def test_who_made_a_directory_owns_it_in_the_harvest(place):
    script = "mkdir a2 && chown 4242:4343 a2 && chmod 750 a2"
    report = routed(place, script)
    status = Path(report["outputs_directory"], "diverted", "gold", "a2").stat()
    assert (4242, 4343, 0o750) == (status.st_uid, status.st_gid, status.st_mode & 0o7777)


def test_explaining_makes_nothing_in_gold(place, other):
    before = fingerprint(other)
    for output in (other, other / "out"):
        done = place.shell.call(
            *("run", "-w", place.work, "--writes", "route", "--explain", "--output", output),
            *("--format", "json", "--", "true"),
        )
        assert done.code in (0, 125), done
    assert before == fingerprint(other)


@USERS
def test_run_whose_layers_cannot_be_made_has_ended(place):
    (place.mine / "out" / "runs" / ".diverted-taken").mkdir(parents=True)
    os.chown(place.mine / "out", place.uid, place.uid)
    os.chown(place.mine / "out" / "runs", place.uid, place.uid)
    done = place.shell.call(
        *("run", "-w", place.work, "--writes", "route", "--run-id", "taken"),
        *("--format", "json", "--", "true"),
    )
    assert "store_unreachable" == json.loads(done.err)["code"]
    record = json.loads((place.mine / "out" / "runs" / "taken" / "run.json").read_text())
    assert "failed" == record["state"]


@USERS
def test_dataset_that_a_job_closes_is_harvested_and_the_change_is_listed(place):
    report = routed(place, "echo > new; echo > dir/new; chmod 0 dir .")
    assert {"": "metadata", "dir": "metadata", "dir/new": "new", "new": "new"} == kinds(report)
    assert ([], "complete") == (report["unreadable"], report["state"])


@ROOT
def test_mode_of_the_dataset_itself_is_listed(place):
    report = routed(place, "chmod 700 .")
    assert ["mode 0755 to 0700"] == [one["detail"] for one in report["diverted"]]


@USERS
def test_run_ends_well_whatever_depth_its_job_made(place):
    dive = place.mine / "dive.py"
    dive.write_text(
        "import os\n"
        "os.chdir(os.environ['TMPDIR'])\n"
        "for _ in range(1100):\n"
        "    os.mkdir('d')\n"
        "    os.chdir('d')\n"
    )
    try:
        report = place.run(f"python3 {dive}")
        left = [name for name in os.listdir(place.mine) if name.startswith("dataguard-")]
    finally:  # pytest could not remove it
        subprocess.run(["rm", "-rf", *place.mine.glob("dataguard-*")], check=True)
    assert ("complete", []) == (report["state"], left)
