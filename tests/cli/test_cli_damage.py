from __future__ import annotations

import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from asking import tree_state

from support.mountcleanup import mount_command, needs_mounts

READING = (
    *("list", "show faces", "log faces", "diff faces faces", "audit", "findings list"),
    *("lineage faces", "catalog check", "catalog events", "register faces gold"),
    *("gate --input faces@1 --output out", "workspace list", "tag faces@1 prod"),
)


def garbage(file):
    file.write_bytes(b"this is no database, and long enough to be looked at as one " * 100)


def truncated(file):
    file.write_bytes(file.read_bytes()[:5000])


def holed(file):
    data = bytearray(file.read_bytes())
    data[4096 : len(data) // 2] = bytes(len(data) // 2 - 4096)
    file.write_bytes(data)


@pytest.mark.parametrize("damage", [garbage, truncated, holed])
def test_damaged_database_is_told_by_every_command_without_a_trace(registered, damage):
    damage(registered.home / "catalog.db")
    before = tree_state(registered.gold)
    for words in READING:
        answer = registered.ask(*words.split())
        assert answer.code in (0, 13), (words, answer)
        assert "defect" not in answer.err, (words, answer)
    assert 13 == registered.ask("list").code
    assert 13 == registered.ask("catalog", "check").code
    assert before == tree_state(registered.gold)


def test_damaged_database_can_be_rebuilt_from_the_events(registered):
    shown = registered.ask_json("show", "faces")
    garbage(registered.home / "catalog.db")
    assert 0 == registered.ask("catalog", "rebuild", "--yes").code
    assert shown == registered.ask_json("show", "faces")
    assert registered.ask_json("catalog", "check")["sound"]


def test_newer_database_is_refused(registered):
    with sqlite3.connect(registered.home / "catalog.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    error = registered.fails("list")
    assert ("catalog_damaged", 13) == (error["code"], error["exit_code"])


@pytest.mark.parametrize("damage", [lambda f: f.unlink(), truncated, garbage])
@pytest.mark.parametrize("kind", ["manifests", "sheets"])
def test_damaged_manifest_or_sheet_is_told(registered, kind, damage):
    (file,) = (registered.home / kind).rglob("*.parquet")
    os.chmod(file, 0o644)
    truncated(file) if damage is truncated and file.stat().st_size > 5000 else damage(file)
    if damage is truncated:
        file.write_bytes(file.read_bytes()[:-9])
    for words in ("audit --level quick", "register faces gold", "catalog check"):
        answer = registered.ask(*words.split())
        assert 13 == answer.code, (words, answer)
        assert "defect" not in answer.err
    checked = json.loads(registered.ask("catalog", "check", "--format", "json").out)
    assert [kind.removesuffix("s")] == [one["aspect"] for one in checked["problems"]]


def test_manifest_with_other_content_is_told(registered):
    (file,) = (registered.home / "manifests").glob("*.parquet")
    (registered.gold / "a").write_bytes(b"other\n")
    other = Path(registered.register("--supersede", "--reason", "r")["manifest"])
    os.chmod(file, 0o644)
    shutil.copyfile(other, file)
    assert 13 == registered.fails("diff", "faces@1", "faces@2")["exit_code"]
    assert 13 == registered.ask("catalog", "check").code


def test_changed_line_of_the_event_log_is_told(registered):
    (file,) = (registered.home / "events").iterdir()
    file.write_bytes(file.read_bytes().replace(b'"faces"', b'"faxes"', 1))
    assert 13 == registered.ask("catalog", "check").code


def test_home_that_is_a_file_is_told(world):
    world.home.write_text("not a directory")
    for words in ("list", "register faces gold", "catalog check", "catalog events", "doctor"):
        answer = world.ask(*words.split())
        assert 2 == answer.code, (words, answer)
        assert str(world.home) in answer.err


def test_home_below_a_file_is_told(world, monkeypatch):
    monkeypatch.setenv("DATAGUARD_HOME", str(world.gold / "a" / "home"))
    assert 2 == world.fails("list")["exit_code"]


@needs_mounts
def test_home_on_a_read_only_place_can_be_looked_at_and_not_written(registered):
    mount_command("--bind", registered.home, registered.home)
    mount_command("-o", "remount,bind,ro", registered.home)
    for words in ("list", "show faces", "log faces", "findings list", "catalog check"):
        answer = registered.ask(*words.split())
        assert 0 == answer.code, (words, answer)
    for words in ("tag faces@1 prod", "register other gold/dir", "register faces gold", "audit"):
        answer = registered.ask(*words.split())
        assert 12 == answer.code, (words, answer)
        assert "defect" not in answer.err
    assert 1 == registered.ask("doctor").code


def test_home_of_somebody_else_is_told(registered):
    os.chmod(registered.home, 0o700)
    found = {}
    for words in (("list",), ("register", "other", str(registered.gold)), ("catalog", "check")):
        found[words] = registered.ask_as_stranger(*words)
    assert {2} == {code for code, _ in found.values()}, found
    assert all(str(registered.home) in message for _, message in found.values()), found


@pytest.mark.parametrize(
    "text", ["[workspace\n", "[workspace]\n", "x = 1\n", "[workspace]\noutputs = 3\n", "\xff\0"]
)
def test_workspace_file_that_makes_no_sense_is_a_configuration_error(registered, text):
    ws = registered.workspace(mounted=())
    (ws / "dataguard.toml").write_bytes(text.encode("latin-1"))
    for words in ("workspace show ws", "mount -w ws", "gate -w ws", "run -w ws -- true"):
        answer = registered.ask(*words.split())
        assert 2 == answer.code, (words, answer)
        assert "dataguard.toml" in answer.err


@pytest.mark.parametrize("text", ["[datasets", "[datasets]\nfaces = 3", "\xff\0"])
def test_lock_file_that_makes_no_sense_is_a_configuration_error(registered, text):
    ws = registered.workspace(mounted=())
    (ws / "dataguard.lock").write_bytes(text.encode("latin-1"))
    answer = registered.ask("mount", "-w", "ws")
    assert 2 == answer.code, answer
    assert "dataguard.lock" in answer.err


@pytest.mark.parametrize("text", ["home = [", "nonsense = 1", 'workers = "-1"', "\xff"])
def test_configuration_that_makes_no_sense_is_an_error_of_every_command(registered, text):
    (registered.home / "config.toml").write_bytes(text.encode("latin-1"))
    for words in ("list", "register faces gold", "doctor"):
        answer = registered.ask(*words.split())
        assert 2 == answer.code, (words, answer)
        assert "config.toml" in answer.err


@pytest.mark.parametrize("text", ["format = 3", 'format = "policy/9"', "[x]", "= ", "\xff", ""])
def test_policy_that_makes_no_sense_closes_everything_with_its_line(registered, text):
    file = registered.top / "bad.toml"
    file.write_bytes(text.encode("latin-1"))
    for words in ("list", "gate --input faces@1 --output out", "register faces gold"):
        error = registered.fails(*words.split(), "--policy", str(file))
        assert ("policy", 2) == (error["code"], error["exit_code"])
        assert "bad.toml" in error["message"]


@pytest.mark.parametrize(
    ("url", "codes"),
    [
        ("sqlite:////nowhere/at/all.db", (12,)),
        ("postgresql://nobody@127.0.0.1:1/none", (2, 12)),
        ("nonsense", (2,)),
        ("nosuch://x/y", (2, 12)),
        ("mysql://x/y", (2, 12)),
    ],
)
def test_catalog_that_cannot_be_reached_is_told(world, url, codes):
    for words in ("list", "catalog check"):
        error = world.fails(*words.split(), "--catalog", url)
        assert error["exit_code"] in (*codes, 10), error
        assert error["code"] != "internal"
