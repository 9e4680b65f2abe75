from __future__ import annotations

import os

import pytest
from asking import tree_state

from dataguard.actions import audit, standing


@pytest.fixture
def two(registered):
    """faces@1 and faces@2, which adds one file, changes one and renames one."""
    os.rename(registered.gold / "dir" / "b", registered.gold / "dir" / "c")
    (registered.gold / "a").write_bytes(b"other\n")
    (registered.gold / "new").write_bytes(b"new\n")
    registered.register("--supersede", "--reason", "corrected")
    return registered


def test_list_shows_the_newest_active_version_of_each_dataset(two):
    two.ask_json("register", "vision/other", str(two.home.parent / "gold" / "dir"))
    rows = two.ask_json("list")["datasets"]
    assert [("faces", 2), ("vision/other", 1)] == [(r["dataset"], r["version"]) for r in rows]
    rows = two.ask_json("list", "vision/*")["datasets"]
    assert ["vision/other"] == [row["dataset"] for row in rows]
    rows = two.ask_json("list", "--all", "faces")["datasets"]
    assert [1, 2] == sorted(row["version"] for row in rows)


def test_list_as_jsonl_is_one_row_a_line(two):
    rows = two.ask("list", "--format", "jsonl").rows
    assert [("faces", 2)] == [(row["dataset"], row["version"]) for row in rows]


def test_empty_list_as_csv_has_a_header(world):
    header = "dataset,version,root,files,bytes,location,state,seal,pinned,canaries\n"
    assert header == world.ask("list", "--format", "csv").out.replace("\r", "")


def test_references_mean_the_same_version(two):
    two.ask_json("tag", "faces@2", "prod")
    root = two.ask_json("show", "faces@2")["root"]
    references = ("faces", "faces@2", "faces@prod", f"faces@{root[:12]}", f"faces@{root}")
    assert {2} == {two.ask_json("show", reference)["version"] for reference in references}


NOTHING = {
    **dict.fromkeys(("nosuch", "faces@9", "faces@nosuch", "faces@dg1:00000000"), 10),
    **dict.fromkeys(("faces@dg1:00", "faces@", "@1", "", b"\xff", "faces@1@2"), 2),
}


@pytest.mark.parametrize("command", ["show", "diff", "audit"])
def test_reference_that_means_nothing_is_refused(registered, command):
    more = ("faces",) if command == "diff" else ()
    codes = {r: registered.fails(command, r, *more)["exit_code"] for r in NOTHING}
    assert codes == NOTHING


def test_lineage_of_nothing_is_not_found(registered):
    assert {10} == {registered.fails("lineage", one)["exit_code"] for one in NOTHING}


def test_diff_tells_added_removed_changed_and_renamed(two):
    found = two.ask_json("diff", "faces@1", "faces@2")
    paths = {n: [one["path"] for one in found[n]] for n in ("added", "removed", "changed")}
    assert {"added": ["new"], "removed": [], "changed": ["a"]} == paths
    assert [("dir/c", "dir/b")] == [(r["path"], r["previous_path"]) for r in found["renamed"]]
    back = two.ask_json("diff", "faces@2", "faces@1")
    assert ["new"] == [one["path"] for one in back["removed"]]


def test_tag_moves_and_the_log_keeps_where_it_was(two):
    assert None is two.ask_json("tag", "faces@1", "prod")["previous"]
    moved = two.ask_json("tag", "faces@2", "prod")
    assert (2, 1) == (moved["version"], moved["previous"])
    rows = two.ask_json("log", "faces")["rows"]
    assert [1, 2] == [row["version"] for row in rows if row["what"] == "tag moved"]


@pytest.mark.parametrize("name", ["1", "dg1:ab", "", "a b", "a/b", "caf\u00e9", "-x"])
def test_tag_that_is_none_is_refused(registered, name):
    assert 2 == registered.fails("tag", "faces@1", name)["exit_code"]


def test_log_tells_who_did_what(two):
    rows = two.ask_json("log", "faces")["rows"]
    assert ["registered", "registered"] == [r["what"] for r in rows if r["what"] == "registered"]
    assert {"root"} == {row["user"] for row in rows}
    assert 10 == two.fails("log", "nosuch")["exit_code"]


def test_withdrawn_version_is_not_the_newest_any_more(two):
    two.ask_json("audit")
    found = two.ask_json("withdraw", "faces@2", "--reason", "licence")
    assert ("withdrawn", "active") == (found["state"], found["previous_state"])
    shown = two.ask_json("show", "faces@2")
    assert ("withdrawn", "licence") == (shown["state"], shown["state_reason"])
    assert 11 == two.fails("tag", "faces@2", "prod")["exit_code"]


def test_quarantine_is_lifted_after_a_clean_full_audit_only(registered):
    registered.ask_json("quarantine", "faces@1", "--reason", "labels")
    assert 11 == registered.fails("release", "faces@1", "--reason", "fine")["exit_code"]
    registered.ask_json("audit", "faces@1", "--level", "quick")
    assert 11 == registered.fails("release", "faces@1", "--reason", "fine")["exit_code"]
    registered.ask_json("audit", "faces@1")
    assert "active" == registered.ask_json("release", "faces@1", "--reason", "fine")["state"]
    assert 11 == registered.fails("release", "faces@1", "--reason", "again")["exit_code"]


def test_audit_by_name_of_what_is_in_quarantine_alone_leads_out_of_it(registered):
    registered.ask_json("quarantine", "faces@1", "--reason", "labels")
    found = registered.ask_json("audit", "faces", "--level", "full")
    assert [("faces", 1)] == [(one["dataset"], one["version"]) for one in found["versions"]]
    assert "active" == registered.ask_json("release", "faces@1", "--reason", "fine")["state"]


def test_audit_by_name_takes_the_newest_in_quarantine_where_none_is_active(two):
    for number in (1, 2):
        two.ask_json("quarantine", f"faces@{number}", "--reason", "labels")
    asked = two.ask_json("audit", "faces", "-n")
    assert [2] == [one["version"] for one in asked["versions"]]


def test_audit_by_name_takes_the_active_version_before_a_newer_one_in_quarantine(registered):
    (registered.gold / "new").write_bytes(b"new\n")
    registered.register("--append", "--reason", "more")
    registered.ask_json("quarantine", "faces@2", "--reason", "labels")
    found = registered.ask_json("audit", "faces", "-n")
    assert [1] == [one["version"] for one in found["versions"]]


@pytest.mark.parametrize("command", ["tag", "show"])
def test_command_that_needs_an_active_version_says_what_leads_out_of_quarantine(
    registered, command
):
    registered.ask_json("quarantine", "faces@1", "--reason", "labels")
    error = registered.fails(command, "faces", *(["prod"] if command == "tag" else []))
    assert 10 == error["exit_code"]
    assert "dataguard audit faces@1 --level full" in error["hint"]
    assert "dataguard release faces@1" in error["hint"]


@pytest.mark.parametrize("command", ["withdraw", "quarantine", "release"])
@pytest.mark.parametrize("reason", ["", "   "])
def test_change_of_standing_needs_a_reason(registered, command, reason):
    assert 2 == registered.fails(command, "faces@1", "--reason", reason)["exit_code"]


@pytest.mark.parametrize(
    "words",
    [
        ("tag", "faces@1", "prod"),
        ("withdraw", "faces@1", "--reason", "r"),
        ("quarantine", "faces@1", "--reason", "r"),
    ],
)
def test_dry_run_says_what_would_be_and_changes_nothing(registered, words):
    before = tree_state(registered.home)
    text = registered.ask(*words, "--dry-run")
    assert (0, True) == (text.code, "would be" in text.out)
    assert registered.ask_json(*words, "-n")["dry_run"]
    assert before == tree_state(registered.home)


def test_release_of_a_version_that_no_place_holds_leaves_it_superseded(registered):
    registered.ask_json("withdraw", "faces@1", "--reason", "licence")
    (registered.gold / "a").write_bytes(b"other\n")
    registered.register("--supersede", "--reason", "cleaned")
    planned = registered.ask_json("release", "faces@1", "--reason", "bought", "--dry-run")
    released = registered.ask_json("release", "faces@1", "--reason", "bought")
    assert ["superseded"] * 2 == [planned["state"], released["state"]]
    assert "superseded" == registered.ask_json("show", "faces@1")["state"]
    [listed] = registered.ask_json("list")["datasets"]
    assert 2 == listed["version"]


def test_withdrawal_does_not_undo_a_quarantine_that_came_first(registered, monkeypatch):
    planned = standing._planned

    def overtaken(*arguments):
        monkeypatch.setattr(standing, "_planned", planned)
        registered.ask_json("quarantine", "faces@1", "--reason", "odd")
        return planned(*arguments)

    monkeypatch.setattr(standing, "_planned", overtaken)
    assert 11 == registered.ask("withdraw", "faces@1", "--reason", "licence").code
    assert "quarantined" == registered.ask_json("show", "faces@1")["state"]


def test_release_is_refused_where_an_older_audit_ended_last(registered, monkeypatch):
    """A clean audit that began before damage was found says nothing about the damage."""
    registered.ask_json("quarantine", "faces@1", "--reason", "odd")
    compare = audit.compare

    def slow(*arguments, **options):
        monkeypatch.setattr(audit, "compare", compare)
        early = compare(*arguments, **options)
        (registered.gold / "a").write_bytes(b"evil!\n")
        registered.ask_json("audit", "faces@1", code=3)
        return early

    monkeypatch.setattr(audit, "compare", slow)
    registered.ask_json("audit", "faces@1")
    assert 11 == registered.ask("release", "faces@1", "--reason", "fine").code
    assert 3 == registered.ask("gate", "--input", "faces@1").code
