from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest
from asking import tree_state

from dataguard.model.medium import Medium
from dataguard.mounts.fuse import FuseBackend
from support.containers import in_container
from support.mountcleanup import needs_mounts


def shown(world):
    """Everything that the catalog tells about its datasets."""
    listed = world.ask_json("list", "--all")["datasets"]
    return [world.ask_json("show", f"{row['dataset']}@{row['version']}") for row in listed]


def story(world):
    world.ask_json("tag", "faces@1", "prod")
    (world.gold / "a").write_bytes(b"other\n")
    world.ask_json("audit", code=3)
    world.register("--supersede", "--reason", "corrected")
    world.ask_json("quarantine", "faces@1", "--reason", "old")


def test_check_of_a_sound_catalog_is_fine_and_damages_nothing(registered):
    before = tree_state(registered.home)
    found = registered.ask_json("catalog", "check")
    assert (True, 1, []) == (found["sound"], found["versions"], found["problems"])
    assert before == tree_state(registered.home)


def test_rebuild_makes_an_equal_catalog_and_keeps_the_old_database(registered):
    story(registered)
    before, findings = shown(registered), registered.ask_json("findings", "list", "--all")
    assert 2 == registered.fails("catalog", "rebuild")["exit_code"]
    kept = registered.ask_json("catalog", "rebuild", "--yes")["kept"]
    assert (before, findings) == (shown(registered), registered.ask_json("findings", "list", "-a"))
    assert kept in [str(path) for path in registered.home.iterdir()]


def test_rebuild_after_the_database_is_gone(registered):
    story(registered)
    before = shown(registered)
    (registered.home / "catalog.db").unlink()
    registered.ask_json("catalog", "rebuild", "--yes")
    assert before == shown(registered)


def test_backup_unpacked_into_an_empty_home_is_the_catalog_again(registered, monkeypatch):
    story(registered)
    before = shown(registered)
    file = registered.top / "backup.tar"
    registered.ask_json("catalog", "backup", str(file))
    assert 11 == registered.fails("catalog", "backup", str(file))["exit_code"]
    new = registered.top / "new-home"
    with tarfile.open(file) as archive:
        archive.extractall(new, filter="data")
    monkeypatch.setenv("DATAGUARD_HOME", str(new))
    assert [{**one} for one in before] == shown(registered)
    assert registered.ask_json("catalog", "check")["sound"]


def test_catalog_of_an_older_schema_is_backed_up_and_upgraded(world):
    golden = Path(__file__).parents[1] / "golden" / "catalog-1"
    shutil.copytree(golden / "events", world.home / "events")
    (world.home / "catalog.db").write_bytes(
        gzip.decompress((golden / "catalog.db.gz").read_bytes())
    )
    hint = world.fails("list")["hint"]
    assert "`dataguard catalog backup FILE`, then `dataguard catalog upgrade`" == hint
    file = world.top / "backup.tar"
    world.ask_json("catalog", "backup", str(file))
    with tarfile.open(file) as archive:
        archive.extract("catalog.db", world.top, filter="data")
    with closing(sqlite3.connect(world.top / "catalog.db")) as kept:
        assert [("0001",)] == [*kept.execute("select version_num from alembic_version")]
    assert "0001" == world.ask_json("catalog", "upgrade")["before"]
    world.ask_json("list")


def test_copy_is_the_catalog_in_another_home(registered, monkeypatch):
    story(registered)
    before, home = shown(registered), registered.top / "second"
    registered.ask_json("catalog", "copy", str(home))
    assert 11 == registered.fails("catalog", "copy", str(home))["exit_code"]
    monkeypatch.setenv("DATAGUARD_HOME", str(home))
    assert before == shown(registered)
    assert [] == registered.ask_json("audit", "faces@2", "--level", "quick")["findings"]


@pytest.mark.parametrize(
    "words", [("check",), ("rebuild", "--yes"), ("backup", "x.tar"), ("copy", "x"), ("upgrade",)]
)
@pytest.mark.parametrize("home", [True, False])
@pytest.mark.parametrize("how", [(), ("--dry-run",)])
def test_catalog_that_is_not_there_is_not_found_and_not_made(world, words, home, how):
    if how and words == ("check",):
        return
    if home:
        world.home.mkdir()
    words = (*words, *how)
    assert 10 == world.fails("catalog", *words)["exit_code"]
    assert not (world.home / "catalog.db").exists()
    assert home is world.home.exists()


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (("rebuild",), "events"),
        (("backup", "x.tar"), "files"),
        (("copy", "x"), "files"),
        (("upgrade",), "after"),
    ],
)
def test_dry_run_of_administration_says_what_would_be_and_changes_nothing(registered, words, field):
    before = tree_state(registered.top)
    planned = registered.ask_json("catalog", *words, "-n")
    assert before == tree_state(registered.top)
    done = registered.ask_json("catalog", *words, *(["--yes"] if words == ("rebuild",) else []))
    assert (True, False) == (planned["dry_run"], done["dry_run"])
    assert planned[field] == done[field]


def test_dry_run_of_init_makes_nothing(world):
    assert world.ask_json("catalog", "init", "--dry-run")["dry_run"]
    assert not world.home.exists()


def test_events_can_be_checked_with_any_json_library(registered):
    story(registered)
    previous = "0" * 64
    for event in registered.ask("catalog", "events", "--format", "jsonl").rows:
        found = event.pop("hash")
        text = json.dumps(event, sort_keys=True, separators=(",", ":"))
        assert hashlib.sha256(text.encode()).hexdigest() == found
        assert previous == event["previous"]
        previous = found


def test_events_after_a_number(registered):
    events = registered.ask_json("catalog", "events")["events"]
    later = registered.ask_json("catalog", "events", "--after", "1")["events"]
    assert events[1:] == later
    assert events[0]["seq"] == 1


def test_init_makes_an_empty_catalog_and_keeps_a_full_one(world):
    first = world.ask_json("catalog", "init")
    world.register()
    assert first == world.ask_json("catalog", "init")
    assert 1 == len(world.ask_json("list")["datasets"])


def test_upgrade_of_a_current_catalog_changes_nothing(registered):
    found = registered.ask_json("catalog", "upgrade")
    assert found["before"] == found["after"]


@pytest.mark.parametrize("name", ["default", "regulated", "research"])
def test_ready_policies_are_valid(world, name):
    found = world.ask_json("policy", "check", name)
    assert (True, name, []) == (found["valid"], found["name"], found["problems"])


def test_problems_of_a_policy_have_their_lines(world):
    file = world.top / "team.toml"
    file.write_text('format = "policy/1"\nname = "team"\n[audit]\nmax_age = "soon"\nfoo = 1\n')
    found = world.ask_json("policy", "check", str(file), code=2)
    assert (False, [4, 5]) == (found["valid"], sorted(p["line"] for p in found["problems"]))
    text = world.ask("policy", "check", str(file))
    assert (2, "") == (text.code, text.err)
    assert f"{file} line 4: audit.max_age: " in text.out
    assert text.out.endswith("not valid, problems: 2\n")


def test_rules_in_force_tell_which_layer_decided(world):
    found = world.ask_json("policy", "show", "--policy", "regulated")
    rules = {rule["key"]: rule for rule in found["values"]}
    assert "adversarial" == rules["digest.required_strength"]["value"]
    assert ["flag"] == [s["origin"] for s in rules["digest.required_strength"]["decided_by"]]
    assert "mount.required_guarantee  enforced" in " ".join(
        world.ask("policy", "show", "--policy", "regulated").out.split("\n")
    ).replace("   ", " ").replace("  ", "  ")


def test_explain_of_a_place_says_where_outputs_may_go(registered):
    assert None is registered.ask_json("policy", "explain", str(registered.top / "out"))["code"]
    refused = registered.ask_json("policy", "explain", str(registered.gold / "x"), code=3)
    assert ("DG303", "gold") == (refused["code"], refused["area"]["role"])
    text = registered.ask("policy", "explain", str(registered.gold / "x"))
    assert text.out.startswith("refused as a place for outputs: ")


def test_explain_of_a_code_says_severity_remedy_and_exemptions(world):
    file = world.top / "team.toml"
    file.write_text(
        'format = "policy/1"\nname = "team"\n[severity]\nDG105 = "error"\n'
        '[[exemption]]\ncodes = ["DG105"]\nreason = "moved host"\nexpires = 2999-01-01\n'
    )
    words = ("policy", "explain", "DG105", "--policy", str(file))
    found = world.ask_json(*words)
    assert ("error", "warning") == (found["severity"], found["default_severity"])
    assert ["moved host"] == [one["reason"] for one in found["exemptions"]]
    assert "exempted  * until 2999-01-01: moved host" in world.ask(*words).out
    assert 2 == world.fails("policy", "explain", "DG999")["exit_code"]


def test_doctor_tells_each_setting_with_its_origin(world):
    before = tree_state(world.top)
    found = world.ask_json("doctor", "--color", "never")
    origins = {one["name"]: (one["value"], one["origin"]) for one in found["settings"]}
    assert (str(world.home), "environment") == origins["home"]
    assert ("never", "flag") == origins["color"]
    assert ("auto", "default") == origins["workers"]
    assert before == tree_state(world.top)


def abilities(found):
    return {one["name"]: one for one in found["abilities"]}


def test_doctor_names_what_every_backend_can_do_here(world, monkeypatch):
    found = abilities(world.ask_json("doctor"))
    reason = FuseBackend("").unavailable()
    assert ("ok" if reason is None else "missing") == found["fuse mounts"]["state"]
    assert (reason or "backend fuse") in found["fuse mounts"]["detail"]
    assert "container mounts" in found
    monkeypatch.setattr(FuseBackend, "unavailable", lambda _self: "no FUSE here")
    missing = abilities(world.ask_json("doctor"))["fuse mounts"]
    assert ("missing", "no FUSE here") == (missing["state"], missing["detail"])


@needs_mounts
def test_doctor_says_inside_a_container_that_what_the_runtime_mounted_is_checked(registered):
    code, out, _ = in_container(registered.top / "root", ("doctor", "--format", "json"))
    found = abilities(json.loads(out))["container mounts"]
    assert (0, "ok", True) == (code, found["state"], "backend container" in found["detail"])


def test_doctor_of_a_damaged_catalog_fails(registered):
    (registered.home / "catalog.db").write_bytes(b"garbage" * 1000)
    found = registered.ask_json("doctor", code=1)
    assert ["catalog"] == [one["name"] for one in found["abilities"] if one["state"] == "failed"]


def test_doctor_tells_how_many_workers_read_what(registered, monkeypatch):
    def said():
        found = registered.ask_json("doctor")["abilities"]
        return next(one["detail"] for one in found if one["name"] == "workers")

    monkeypatch.setattr("dataguard.actions.doctor.cores", lambda: 3)
    monkeypatch.setattr("dataguard.actions.doctor.medium_of", lambda _place: Medium.NETWORK)
    assert "12 for 1 place on network" == said()
    monkeypatch.setenv("DATAGUARD_WORKERS", "5")
    assert "5 for 1 place on network" == said()


@pytest.mark.parametrize(
    "words",
    [
        ("workspace", "list"),
        ("findings", "list"),
        ("catalog", "events"),
        ("list",),
        ("log", "faces"),
        ("diff", "faces", "faces"),
    ],
)
def test_lists_can_be_tables(registered, words):
    answer = registered.ask(*words, "--format", "csv")
    assert (0, "") == (answer.code, answer.err)


@pytest.mark.parametrize("words", [("show", "faces"), ("doctor",), ("catalog", "check")])
def test_what_is_no_list_cannot_be_a_table(registered, words):
    assert 2 == registered.ask(*words, "--format", "csv").code


@pytest.mark.parametrize("action", ["ack", "resolve"])
def test_change_of_a_finding_needs_a_reason_and_has_a_dry_run(registered, action):
    (registered.gold / "a").write_bytes(b"other\n")
    (found,) = registered.ask_json("audit", code=3)["findings"]
    words = ("findings", action, found["id"])
    assert 2 == registered.fails(*words)["exit_code"]
    assert 2 == registered.fails(*words, "--reason", " ")["exit_code"]
    before = tree_state(registered.home)
    registered.ask_json(*words, "--reason", "r", "--dry-run")
    assert before == tree_state(registered.home)
    assert (
        10
        == registered.fails("findings", action, "F-0123456789abcdef", "--reason", "r")["exit_code"]
    )


def test_finding_is_shown_with_remedy_and_evidence(registered):
    (registered.gold / "a").write_bytes(b"other\n")
    (found,) = registered.ask_json("audit", code=3)["findings"]
    text = registered.ask("findings", "show", found["id"]).out
    assert "remedy: restore the file" in text
    assert "expected_digest: " in text


def test_doctor_says_what_can_watch_and_route(world):
    abilities = {one["name"]: one for one in world.ask_json("doctor")["abilities"]}
    for name in ("watching by fanotify", "watching by inotify", "overlay mounts", "routed writes"):
        assert abilities[name]["state"] in ("ok", "missing")
        assert abilities[name]["detail"]
    assert "max_user_watches" in abilities["watching by inotify"]["detail"]
