"""A routed run that was killed: `run --finish` takes what it wrote into its outputs."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from support.mountcleanup import fingerprint

SCRIPT = (
    "cd $DATAGUARD_INPUT_GOLD; echo 1 > new; echo 2 >> a; rm dir/b; "
    "echo mine > $DATAGUARD_OUTPUTS/own; echo > $DATAGUARD_OUTPUTS/ready; sleep 999"
)


def killed(place, *options):
    """Kill a routed run in the middle of its job; return its id."""
    job = ("run", "-w", place.work, "--writes", "route", *options)
    running = place.shell.start(*job, "--run-id", "r1", "--", "sh", "-c", SCRIPT)
    ready = place.mine / "out" / "runs" / "r1" / "ready"
    deadline = time.monotonic() + 60
    while not ready.exists():
        assert time.monotonic() < deadline, running.outcome()
        time.sleep(0.02)
    os.kill(running.pid, 9)
    running.wait()
    running.end()
    return "r1"


def layers_of(place):
    return sorted(path.name for path in (place.mine / "out" / "runs").glob(".diverted-*"))


def record_of(place, run):
    return json.loads((place.mine / "out" / "runs" / run / "run.json").read_text())


@pytest.fixture
def before(place):
    return fingerprint(place.gold)


def test_writes_of_a_killed_run_are_taken_over_and_its_layers_removed(place, before):
    run = killed(place)
    assert [f".diverted-{run}"] == layers_of(place)
    done = place.shell.ask("run", "--finish", run)
    expected = {"a": "modified", "new": "new", "dir/b": "deleted"}
    assert expected == {one["gold_path"]: one["kind"] for one in done["diverted"]}
    assert done["diverted"] == record_of(place, run)["diverted"]
    assert ("interrupted", "interrupted") == (done["state"], record_of(place, run)["state"])
    kept = Path(done["outputs_directory"], "diverted", "gold")
    assert ("1\n", "alpha\n2\n") == ((kept / "new").read_text(), (kept / "a").read_text())
    assert {"own", "ready", "diverted/gold/a", "diverted/gold/new"} == {
        one["path"] for one in done["outputs"]
    }
    assert [] == layers_of(place)
    assert "diverted" not in place.shell.ask("lineage", run)["runs"][0]["metadata"]
    assert before == fingerprint(place.gold)


def test_finished_run_has_nothing_left_to_finish(place):
    run = killed(place)
    place.shell.ask("run", "--finish", run)
    assert 11 == place.shell.call("run", "--finish", run).code


def test_layers_that_were_replaced_are_left_alone(place):
    run = killed(place)
    left = place.mine / "out" / "runs" / f".diverted-{run}"
    left.rename(place.mine / "elsewhere")
    left.symlink_to(place.gold)
    assert place.shell.call("run", "--finish", run).code in (10, 11)
    assert (place.gold / "a").read_text() == "alpha\n"


def test_layers_of_a_run_that_was_recorded_are_removed(place):
    """Killed between the last record and the removal of its layers, where nothing is lost."""
    done = place.run("cd $DATAGUARD_INPUT_GOLD; echo 1 > new", "--writes", "route")
    left = place.mine / "out" / "runs" / f".diverted-{done['run']}"
    (left / "gold" / "upper").mkdir(parents=True)
    (left / "gold" / "work").mkdir()
    left.chmod(0o700)
    for path in (left, *left.rglob("*")):
        os.chown(path, place.uid, place.uid)
    again = place.shell.ask("run", "--finish", done["run"])
    assert ("complete", done["diverted"]) == (again["state"], again["diverted"])
    assert [] == layers_of(place)


def test_user_cannot_finish_the_diverted_writes_of_another(users_place):
    run = killed(users_place)
    users_place.uid = 0
    as_root = users_place.on_a_host()
    done = as_root.call("run", "--finish", run)
    assert 11 == done.code
    assert [f".diverted-{run}"] == layers_of(users_place)
