"""Many commands on one catalog at once, some of them killed: nothing is lost, nobody waits."""

from __future__ import annotations

import json
import os
import time
from contextlib import ExitStack

import pytest

from support.mountcleanup import mounts_below, needs_mounts, swept
from support.warmcommands import Shell

PROMPT_S = 30  # locks of the dead would be waited for longer
LARGE = 1 << 30


@pytest.fixture
def shell(tmp_path):
    return Shell(str(tmp_path / "home"))


def tree(top, name, content):
    place = top / name
    place.mkdir()
    (place / "same").write_text("same\n")
    (place / "own").write_text(content)
    return place


def all_at_once(shell, commands):
    """Give the commands together and return their outcomes in order."""
    with ExitStack() as stack:
        running = [stack.enter_context(shell.start(*words)) for words in commands]
        return [one.outcome(PROMPT_S) for one in running]


def registration(name, place, *more):
    return ("register", name, place, "--format", "json", *more)


def versions(shell, name):
    listed = shell.ask("list", name, "--all")["datasets"]
    return [(one["version"], one["root"]) for one in listed]


def assert_sound(shell):
    report = shell.ask("catalog", "check")
    assert (report["sound"], report["problems"]) == (True, [])


def test_registrars_of_one_dataset_get_every_number_once(shell, tmp_path):
    places = [tree(tmp_path, f"gold{n}", f"content {n}\n") for n in range(8)]
    outcomes = all_at_once(shell, [registration("demo", place) for place in places])
    assert [one.code for one in outcomes] == [0] * 8, outcomes
    got = sorted((one.report["version"], one.report["root"]) for one in outcomes)
    assert [number for number, _ in got] == [*range(1, 9)]
    assert got == sorted(versions(shell, "demo"))
    assert_sound(shell)


def test_registrars_of_one_content_make_one_version(shell, tmp_path):
    same = tree(tmp_path, "gold", "content\n")
    copies = [tree(tmp_path, f"copy{n}", "content\n") for n in range(4)]
    places = [same, same, same, same, *copies]
    outcomes = all_at_once(shell, [registration("demo", place) for place in places])
    assert [one.code for one in outcomes] == [0] * 8, outcomes
    assert {one.report["version"] for one in outcomes} == {1}
    assert sum(one.report["created"] for one in outcomes) == 1
    assert len(shell.ask("show", "demo")["locations"]) == 5
    assert_sound(shell)


def test_registrars_who_see_other_content_at_one_place_do_not_both_win(shell, tmp_path):
    place = tree(tmp_path, "gold", "content\n")
    patterns = [f"nothing{n}" for n in range(4)] + ["own"] * 4
    commands = [registration("demo", place, "--exclude", pattern) for pattern in patterns]
    outcomes = all_at_once(shell, commands)
    # 2: whoever starts after the winner asks for other patterns than the dataset has.
    assert {one.code for one in outcomes} <= {0, 2, 3, 11}, outcomes
    assert len({one.report["root"] for one in outcomes if one.code == 0}) == 1
    assert [number for number, _ in versions(shell, "demo")] == [1]
    assert_sound(shell)


def test_death_of_two_registrars_holds_up_nobody(shell, tmp_path):
    shell.ask("catalog", "init")
    places = [tree(tmp_path, f"gold{n}", f"content {n}\n") for n in range(6)]
    dying = [tree(tmp_path, f"dying{n}", "never\n") for n in range(2)]
    for place in dying:
        with (place / "large").open("wb") as file:
            file.truncate(LARGE)  # long enough to be met in the middle
    commands = [registration(f"demo{n % 2}", place) for n, place in enumerate(places)]
    with ExitStack() as stack:
        victims = [stack.enter_context(shell.start(*registration("demo0", p))) for p in dying]
        await_drafts(tmp_path / "home", 2)
        running = [stack.enter_context(shell.start(*words)) for words in commands]
        for victim in victims:
            victim.kill()
        started = time.monotonic()
        outcomes = [one.outcome(PROMPT_S) for one in running]
        assert time.monotonic() - started < PROMPT_S
    assert [one.code for one in outcomes] == [0] * 6, outcomes
    for name in ("demo0", "demo1"):
        assert sorted(number for number, _ in versions(shell, name)) == [1, 2, 3]
    left = shell.ask("catalog", "check", "--apply")
    assert (left["sound"], len(left["abandoned"]) >= 2) == (True, True)
    assert shell.ask("register", "demo0", dying[0])["version"] == 4
    assert_sound(shell)


def await_drafts(home, count):
    deadline = time.monotonic() + PROMPT_S
    while len([*home.glob("manifests/.partial-*")]) < 2 * count:  # a manifest and a sheet each
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_death_at_any_moment_loses_no_number(shell, tmp_path):
    places = [tree(tmp_path, f"gold{n}", f"content {n}\n") for n in range(8)]
    shell.ask("catalog", "init")
    with ExitStack() as stack:
        running = [stack.enter_context(shell.start(*registration("demo", p))) for p in places]
        for number, victim in enumerate(running[:4]):
            time.sleep(0.1 * number)
            victim.kill()
        outcomes = [one.outcome(PROMPT_S) for one in running[4:]]
    assert [one.code for one in outcomes] == [0] * 4, outcomes
    for place in places:
        shell.ask("register", "demo", place)
    assert sorted(number for number, _ in versions(shell, "demo")) == [*range(1, 9)]
    assert_sound(shell)


def test_append_of_two_at_once_gives_the_loser_a_conflict_or_the_same_version(shell, tmp_path):
    place = tree(tmp_path, "gold", "content\n")
    shell.ask("register", "demo", place)
    (place / "added").write_text("added\n")
    more = ("--append", "--reason", "test")
    outcomes = all_at_once(shell, [registration("demo", place, *more)] * 4)
    assert {one.code for one in outcomes} <= {0, 11}, outcomes
    assert [number for number, _ in versions(shell, "demo")] == [1, 2]
    assert_sound(shell)


def test_runs_audits_and_tags_on_one_dataset_do_not_disturb_one_another(shell, tmp_path):
    place = tree(tmp_path, "gold", "content\n")
    shell.ask("register", "demo", place)
    run = ("run", "--input", "demo@1", "--output", tmp_path / "out", "--format", "json")
    commands = [
        (*run, "--", "sh", "-c", "cp {in:demo}/own {out}/own"),
        (*run, "--", "sh", "-c", "cp {in:demo}/own {out}/own"),
        (*run, "--", "false"),
        ("audit", "--level", "full"),
        ("audit", "--level", "quick"),
        ("tag", "demo@1", "prod"),
        ("tag", "demo@1", "prod"),
        ("register", "demo", place),
    ]
    outcomes = all_at_once(shell, commands)
    assert [one.code for one in outcomes] == [0, 0, 1, 0, 0, 0, 0, 0], outcomes
    reports = [one.report for one in outcomes[:3]]
    assert len({report["run"] for report in reports}) == 3
    runs = shell.ask("lineage", "demo@1")["runs"]
    assert sorted(one["state"] for one in runs) == ["complete", "complete", "failed"]
    assert_sound(shell)


def test_audits_that_record_many_findings_hold_up_neither_runs_nor_one_another(shell, tmp_path):
    place = tree(tmp_path, "gold", "content\n")
    for number in range(3500):
        (place / f"{number:04}").touch()
    shell.ask("register", "demo", place)
    for number in range(3500):
        os.utime(place / f"{number:04}", ns=(1, 2))
    run = ("run", "--input", "demo@1", "--output", tmp_path / "out", "--format", "json")
    commands = [
        ("audit", "--level", "quick", "-q"),
        ("audit", "--level", "quick", "--slice", "1/2", "-q"),
        ("audit", "--level", "quick", "--slice", "2/2", "-q"),
        (*run, "--", "true"),
        ("tag", "demo@1", "prod"),
    ]
    outcomes = all_at_once(shell, commands)
    assert [one.code for one in outcomes] == [0] * 5, outcomes
    assert outcomes[3].report["state"] == "complete"
    merged = shell.ask("audit", "--level", "quick", "--merge")
    assert (merged["complete"], len(merged["findings"])) == (True, 3500)
    assert_sound(shell)


@needs_mounts
def test_mounts_of_one_workspace_at_once_make_one_mount(shell, tmp_path):
    place = tree(tmp_path, "gold", "content\n")
    work = tmp_path / "work"
    shell.ask("register", "demo", place)
    shell.ask("workspace", "init", work, "--outputs", tmp_path / "out")
    with swept(tmp_path):
        outcomes = all_at_once(shell, [("mount", "demo", "-w", work)] * 6)
        assert [one.code for one in outcomes] == [0] * 6, outcomes
        assert mounts_below(work) == [str(work / "data" / "demo")]

        mixed = [("mount", "-w", work), ("unmount", "--all", "-w", work)] * 3
        outcomes = all_at_once(shell, mixed)
        assert [one.code for one in outcomes] == [0] * 6, outcomes
        assert len(mounts_below(work)) <= 1

        shell.ask("mount", "-w", work)
        assert mounts_below(work) == [str(work / "data" / "demo")]
        shell.ask("unmount", "--all", "-w", work)
        assert (mounts_below(work), [*(work / "data").iterdir()]) == ([], [])
    assert_sound(shell)


def test_one_run_id_is_given_to_one_run(shell, tmp_path):
    shell.ask("register", "demo", tree(tmp_path, "gold", "content\n"))
    run = ("run", "--input", "demo@1", "--output", tmp_path / "out", "--run-id", "job-7")
    outcomes = all_at_once(shell, [(*run, "--format", "json", "--", "true")] * 4)
    assert sorted(one.code for one in outcomes) == [0, 11, 11, 11], outcomes
    assert {json.loads(one.err)["code"] for one in outcomes if one.code} == {"conflict"}
    assert_sound(shell)
