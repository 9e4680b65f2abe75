from __future__ import annotations

import os
import signal

import pytest

from dataguard.engines import cluster
from support.daskclusters import foreign_cluster
from support.startedcommands import session, started, wait_for


@pytest.fixture(scope="module")
def address():
    """A scheduler that somebody else runs, with two workers."""
    with foreign_cluster(2) as running:
        yield running.scheduler_address


@pytest.fixture
def many(world):
    """The gold tree with some thousand files more, and large ones."""
    for number in range(30):
        (world.gold / f"d{number}").mkdir()
        for name in range(120):
            (world.gold / f"d{number}" / str(name)).write_bytes(b"%d" % (number * name))
    for number in range(3):
        (world.gold / f"d{number}" / "large").write_bytes(b"%d" % number)
        os.truncate(world.gold / f"d{number}" / "large", 9_000_000)
    return world


def test_registration_and_audit_on_a_cluster_are_those_of_one_process(many, address):
    place, on = str(many.gold), ("--engine", "dask", "--scheduler", address)
    alone = many.ask_json("register", "alone", place, "--engine", "serial")
    spread = many.ask_json("register", "spread", place, *on)
    fields = ("root", "files", "bytes", "hashed")
    assert [alone[one] for one in fields] == [spread[one] for one in fields]
    audit = many.ask_json("audit", "spread", "--level", "full", *on)
    assert (True, spread["files"]) == (audit["complete"], audit["checked_files"])
    assert [] == many.ask_json("catalog", "check")["abandoned"]


def test_damage_is_found_on_a_cluster(many, address):
    many.ask_json("register", "faces", str(many.gold))
    (many.gold / "d7" / "11").write_bytes(b"other")
    (many.gold / "d9" / "0").unlink()
    on = ("--engine", "dask", "--scheduler", address)
    audit = many.ask_json("audit", "--level", "full", *on, code=3)
    found = {(one["code"], one["path"]) for one in audit["findings"]}
    assert {("DG101", "d7/11"), ("DG102", "d9/0")} == found


def test_scheduler_comes_from_the_environment(many, address, monkeypatch):
    monkeypatch.setenv("DATAGUARD_SCHEDULER", address)
    assert many.ask_json("register", "faces", str(many.gold))["created"]
    (engine,) = [s for s in many.ask_json("doctor")["settings"] if s["name"] == "scheduler"]
    assert (address, "environment") == (engine["value"], engine["origin"])


def test_scheduler_that_does_not_answer_is_unreachable(many, monkeypatch):
    monkeypatch.setattr(cluster, "_TIMEOUT_S", 0.3)
    on = ("--engine", "dask", "--scheduler", "tcp://127.0.0.1:1")
    error = many.fails("register", "faces", str(many.gold), *on)
    assert (12, "store_unreachable") == (error["exit_code"], error["code"])
    assert "tcp://127.0.0.1:1" in error["message"]
    assert [] == many.ask_json("list")["datasets"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_ended_command_leaves_no_process_and_can_be_repeated(many, address, number):
    for name in range(40):
        (many.gold / f"sparse{name}").touch()
        os.truncate(many.gold / f"sparse{name}", 20_000_000)
    words = ("register", "faces", str(many.gold))
    with started(many, *words, "--engine", "dask", "--workers", "2") as process:
        wait_for(lambda: [*many.home.rglob(".partial*/*")] or process.poll() is not None)
        assert process.poll() is None
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does
        else:
            os.kill(process.pid, number)
        _, err = process.communicate(timeout=60)
        wait_for(lambda: not session(process.pid))
    if number == signal.SIGINT:
        assert (130, b"error: interrupted by signal 2\n") == (process.returncode, err)
        assert [] == [*many.home.rglob(".partial*")]
    many.ask_json("catalog", "check", "--apply")
    assert [] == [*many.home.rglob(".partial*")]
    again = many.ask_json(*words, "--engine", "dask", "--scheduler", address)
    assert (True, 1) == (again["created"], again["version"])
