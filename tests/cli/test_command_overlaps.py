"""Commands that overlap at the worst moment: the overlap is forced, not hoped for."""

from __future__ import annotations

import pytest

from dataguard.actions import register


@pytest.fixture
def before_recording(monkeypatch):
    """Have something happen once, after a registration published and before it records."""

    def arrange(act):
        record = register._record

        def interrupted(*arguments):
            monkeypatch.setattr(register, "_record", record)
            act()
            return record(*arguments)

        monkeypatch.setattr(register, "_record", interrupted)

    return arrange


def test_check_removes_nothing_that_a_registration_is_about_to_record(world, before_recording):
    world.ask_json("catalog", "init")
    checks = []
    before_recording(lambda: checks.append(world.ask_json("catalog", "check", "--apply")))
    assert world.register("--also", "sha256")["created"]
    [check] = checks
    assert check["orphans"]
    assert not check["removed"]
    after = world.ask_json("catalog", "check", "--apply")
    assert (True, []) == (after["sound"], after["orphans"])
    assert 0 == world.ask("audit", "faces@1").code


def test_check_removes_what_a_registration_left_that_never_recorded(world, monkeypatch):
    world.ask_json("catalog", "init")

    def fail(*_arguments):
        raise OSError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(register, "_record", fail)
        assert 1 == world.ask("register", "faces", "gold").code
    assert world.ask_json("catalog", "check", "--apply")["removed"]
    assert [] == world.ask_json("catalog", "check")["orphans"]
    assert world.register()["created"]


@pytest.mark.parametrize("how", ["--supersede", "--append"])
def test_slower_of_two_registrations_of_one_place_is_told(registered, before_recording, how):
    """It read what the faster one has replaced since, and would retire a version it never saw."""

    def faster():
        (registered.gold / "faster").write_bytes(b"C")
        assert 2 == registered.register("--supersede", "--reason", "faster")["version"]

    (registered.gold / "slower").write_bytes(b"B")
    before_recording(faster)
    answer = registered.ask("register", "faces", "gold", how, "--reason", "slower")
    assert (11, True) == (answer.code, "since this registration began" in answer.err)
    states = [registered.ask_json("show", f"faces@{n}")["state"] for n in (1, 2)]
    assert ["superseded", "active"] == states
    assert 0 == registered.ask("audit", "faces").code
    assert 10 == registered.ask("show", "faces@3").code
