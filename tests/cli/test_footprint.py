"""What dataguard itself writes never lies in gold, and is refused before anything is made."""

from __future__ import annotations

import os

import pytest
from asking import tree_state

from support.mountcleanup import mount_command, needs_mounts


@pytest.fixture
def untouched(registered):
    """The world, whose gold must be the same afterwards, its directories' times included."""
    before, times = tree_state(registered.gold), os.stat(registered.gold).st_mtime_ns
    yield registered
    assert (before, times) == (tree_state(registered.gold), os.stat(registered.gold).st_mtime_ns)


@pytest.fixture
def linked(untouched):
    """Another path of the gold."""
    (untouched.top / "linked").symlink_to(untouched.gold)
    return untouched.top / "linked"


@pytest.mark.parametrize("way", ["gold/report", "gold/a", "linked/dir/report"])
@pytest.mark.parametrize(
    "words", [("audit", "faces@1"), ("run", "--input", "faces@1", "--output", "out")]
)
@pytest.mark.usefixtures("linked")
def test_report_in_gold_is_refused_and_the_job_not_started(untouched, words, way):
    job = ("--", "touch", "started") if words[0] == "run" else ()
    answer = untouched.ask(*words, "--report", way, *job)
    assert (2, True) == (answer.code, "inside gold" in answer.err), answer
    assert not (untouched.top / "started").exists()
    assert not (untouched.top / "out").exists()


def test_report_that_a_job_leads_into_gold_is_not_written(untouched):
    (untouched.top / "reports").mkdir()
    job = "rmdir reports; ln -s gold reports"
    words = ("--input", "faces@1", "--output", "out", "--report", "reports/one", "--unconfined")
    answer = untouched.ask("run", *words, "--", "sh", "-c", job)
    assert (2, True) == (answer.code, "inside gold" in answer.err), answer


@pytest.mark.parametrize("command", [("list",), ("catalog", "init"), ("register", "x", "other")])
def test_catalog_in_gold_is_refused_and_not_made(untouched, command):
    (untouched.top / "other").mkdir()
    url = f"sqlite:///{untouched.gold}/catalog.db"
    error = untouched.fails(*command, "--catalog", url)
    assert (2, "policy") == (error["exit_code"], error["code"])


def test_catalog_in_the_source_is_refused_and_not_made(world):
    url = f"sqlite:///{world.gold}/catalog.db"
    assert 2 == world.fails("register", "x", "gold", "--catalog", url)["exit_code"]
    assert not (world.gold / "catalog.db").exists()


def test_new_home_in_gold_that_the_usual_catalog_knows_is_refused(untouched, monkeypatch):
    usual = untouched.top / ".local" / "share"
    usual.mkdir(parents=True)
    monkeypatch.setenv("XDG_DATA_HOME", str(usual))
    os.rename(untouched.home, usual / "dataguard")
    monkeypatch.setenv("DATAGUARD_HOME", str(untouched.gold / "home"))
    error = untouched.fails("list")
    assert (2, "policy") == (error["exit_code"], error["code"])


def test_new_home_in_gold_of_the_policy_is_refused(world, monkeypatch):
    rules = world.top / "policy.toml"
    rules.write_text(
        'format = "policy/1"\nname = "ours"\n'
        f'[areas]\ngold = ["{world.gold}"]\noutput = ["{world.gold}/dir"]\n'
    )
    monkeypatch.setenv("DATAGUARD_HOME", str(world.gold / "home"))
    assert 2 == world.fails("list", "--policy", str(rules))["exit_code"]
    assert not (world.gold / "home").exists()
    monkeypatch.setenv("DATAGUARD_HOME", str(world.gold / "dir" / "home"))
    assert 0 == world.ask("list", "--policy", str(rules)).code


@pytest.mark.parametrize("variable", ["TMPDIR", "TEMP", "SQLITE_TMPDIR"])
@pytest.mark.parametrize("words", [("list",), ("run", "--input", "faces@1", "--", "true")])
def test_temporary_directory_in_gold_is_refused(untouched, monkeypatch, variable, words):
    monkeypatch.setenv(variable, str(untouched.gold / "dir"))
    error = untouched.fails(*words)
    assert (2, True) == (error["exit_code"], variable in error["message"])


def test_temporary_directory_in_the_source_is_refused(world, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(world.gold / "dir"))
    assert 2 == world.fails("register", "x", "gold")["exit_code"]


@pytest.mark.parametrize("words", [("backup", "gold/x.tar"), ("copy", "gold/home")])
def test_backup_and_copy_in_gold_are_refused(untouched, words):
    error = untouched.fails("catalog", *words)
    assert (2, "policy") == (error["exit_code"], error["code"])


@needs_mounts
def test_other_mount_of_the_gold_is_gold(untouched):
    other = untouched.top / "other"
    other.mkdir()
    mount_command("--bind", untouched.gold, other)
    assert 2 == untouched.fails("audit", "faces@1", "--report", "other/r")["exit_code"]
