from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dataguard.actions import register
from dataguard.errors import InterruptError
from support.killpoints import why_no_strace
from support.loopimages import flip_byte

LEVELS = ("quick", "full")


def codes(found):
    return sorted((finding["code"], finding["path"]) for finding in found["findings"])


def change(world):
    (world.gold / "a").write_bytes(b"other\n")


def lose(world):
    os.unlink(world.gold / "dir" / "b")
    (world.gold / "dir" / "c").touch()


def link_becomes_file(world):
    os.unlink(world.gold / "link")
    (world.gold / "link").write_bytes(b"a")


def file_becomes_directory(world):
    os.unlink(world.gold / "a")
    (world.gold / "a").mkdir()
    (world.gold / "a" / "below").touch()


def retarget(world):
    os.unlink(world.gold / "link")
    os.symlink("dir/b", world.gold / "link")


DAMAGES = {
    "changed content": (change, [("DG101", "a")], 3),
    "another link target": (retarget, [("DG101", "link")], 3),
    "missing and extra": (lose, [("DG102", "dir/b"), ("DG103", "dir/c")], 3),
    "link became file": (link_becomes_file, [("DG104", "link")], 3),
    "mode": (lambda w: os.chmod(w.gold / "a", 0o600), [("DG105", "a")], 0),
    "owner": (lambda w: os.chown(w.gold / "a", 1, 1), [("DG105", "a")], 0),
    "times": (lambda w: os.utime(w.gold / "a", ns=(1, 2)), [("DG105", "a")], 0),
    "hard link": (lambda w: os.link(w.gold / "a", w.top / "x"), [("DG108", "a")], 0),
    "link out": (
        lambda w: os.symlink("..", w.gold / "up"),
        [("DG103", "up"), ("DG109", "up")],
        3,
    ),
}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("damage", DAMAGES)
def test_each_class_of_damage_is_told(registered, damage, level):
    make, expected, code = DAMAGES[damage]
    make(registered)
    found = registered.ask_json("audit", "faces", "--level", level, code=code)
    assert expected == codes(found)
    assert (True, level) == (found["complete"], found["level"])


@pytest.mark.parametrize("level", LEVELS)
def test_file_that_became_a_directory_is_another_kind(registered, level):
    file_becomes_directory(registered)
    found = registered.ask_json("audit", "--level", level, code=3)
    assert ("DG104", "a") in codes(found)


@pytest.mark.parametrize("level", LEVELS)
def test_same_size_edit_with_its_time_restored_is_found(registered, level):
    file = registered.gold / "a"
    before = os.stat(file)
    file.write_bytes(b"HELLO\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    found = registered.ask_json("audit", "--level", level, code=3)
    assert [("DG101", "a")] == codes(found)


def test_same_size_edit_with_touch_r_is_found_by_a_quick_audit(registered):
    shutil.copy2(registered.gold / "a", registered.top / "clock")
    (registered.gold / "a").write_bytes(b"HELLO\n")
    subprocess.run(["touch", "-r", registered.top / "clock", registered.gold / "a"], check=True)
    assert [("DG101", "a")] == codes(registered.ask_json("audit", "--level", "quick", code=3))


def test_flipped_bit_is_rot_and_found_by_the_full_audit_only(world, loop_ext4):
    file = os.path.join(loop_ext4.top, "file")
    with open(file, "wb") as stream:
        stream.write(b"x" * 10_000)
    world.ask_json("register", "disk", loop_ext4.top, "--exclude", "lost+found/")
    flip_byte(loop_ext4, file, 5000)
    assert [] == codes(world.ask_json("audit", "--level", "quick"))
    assert [("DG107", "file")] == codes(world.ask_json("audit", code=3))


def test_clean_quick_audit_reads_no_content(registered):
    found = registered.ask_json("audit", "--level", "quick")
    assert (2, 0, True) == (found["checked_files"], found["checked_bytes"], found["complete"])


def test_full_audit_reads_every_byte(registered):
    found = registered.ask_json("audit")
    assert (2, 11) == (found["checked_files"], found["checked_bytes"])


@pytest.mark.skipif(bool(why_no_strace()), reason=why_no_strace() or "-")
def test_second_host_with_a_copy_of_the_catalog_opens_no_data_file(registered):
    second = registered.top / "second"
    registered.ask_json("catalog", "copy", str(second))
    trace = registered.top / "trace"
    done = registered.ask_process(
        *("audit", "--level", "quick", "--engine", "serial"),
        env={**os.environ, "DATAGUARD_HOME": str(second)},
        under=("strace", "-f", "-e", "trace=open,openat,openat2", "-o", str(trace)),
    )
    assert 0 == done.code, done
    opened = re.findall(r'"([^"]*)", (O_[A-Z_|]*)', trace.read_text())
    gold = [name for name, flags in opened if name.endswith("/gold")]
    data = [name for name, flags in opened if name.split("/")[-1] in ("a", "b", "link")]
    assert ([], True) == (data, bool(gold))


def gaps(found):
    return [(one["path"], one["reason"]) for one in found["unreadable"]]


@pytest.mark.parametrize("level", LEVELS)
def test_entry_that_cannot_be_checked_makes_the_audit_incomplete(registered, level):
    os.mkfifo(registered.gold / "pipe")
    found = registered.ask_json("audit", "--level", level, code=4)
    assert (False, [], [("pipe", "is a FIFO")]) == (found["complete"], codes(found), gaps(found))


def test_fifo_in_the_place_of_a_file_is_a_missing_file_and_a_gap(registered):
    os.unlink(registered.gold / "a")
    os.mkfifo(registered.gold / "a")
    found = registered.ask_json("audit", code=3)
    assert ([("DG102", "a")], [("a", "is a FIFO")]) == (codes(found), gaps(found))


def test_unreadable_file_is_a_gap_and_not_missing_for_an_ordinary_user(registered):
    os.chmod(registered.gold / "a", 0)
    os.chmod(registered.gold / "dir", 0)
    code, found = registered.ask_as_user("audit", "--engine", "serial")
    expected = [("a", "permission denied"), ("dir", "permission denied")]
    assert (4, False, expected) == (code, found["complete"], sorted(gaps(found)))
    assert "DG102" not in [one["code"] for one in found["findings"]]


def test_finding_beside_a_gap_is_still_told_and_decides_the_exit_code(registered):
    os.mkfifo(registered.gold / "pipe")
    change(registered)
    found = registered.ask_json("audit", code=3)
    assert (False, [("DG101", "a")]) == (found["complete"], codes(found))


def test_location_that_is_gone_is_a_finding_of_the_whole_version(registered):
    os.rename(registered.gold, registered.top / "elsewhere")
    found = registered.ask_json("audit", code=3)
    assert [("DG102", "")] == codes(found)
    assert str(registered.gold) in found["findings"][0]["message"]


def test_location_that_is_a_file_now_is_a_finding(registered):
    shutil.rmtree(registered.gold)
    registered.gold.touch()
    assert [("DG102", "")] == codes(registered.ask_json("audit", code=3))


def listed(world, *words):
    return world.ask_json("findings", "list", *words)["findings"]


def test_findings_are_recorded_counted_and_resolved_when_gone(registered):
    before = os.stat(registered.gold / "a")
    change(registered)
    registered.ask_json("audit", code=3)
    registered.ask_json("audit", code=3)
    assert [("DG101", "open", 2)] == [
        (one["code"], one["state"], one["count"]) for one in listed(registered, "faces@1")
    ]
    (registered.gold / "a").write_bytes(b"hello\n")
    os.utime(registered.gold / "a", ns=(before.st_atime_ns, before.st_mtime_ns))
    registered.ask_json("audit")
    assert [] == listed(registered)
    assert ["resolved"] == [one["state"] for one in listed(registered, "--all")]


def test_resolved_finding_opens_again_when_seen_again(registered):
    change(registered)
    found = registered.ask_json("audit", code=3)["findings"][0]["id"]
    registered.ask_json("findings", "resolve", found, "--reason", "restored, I think")
    registered.ask_json("audit", code=3)
    assert [(found, "open")] == [(one["id"], one["state"]) for one in listed(registered)]


def test_acknowledged_finding_is_not_listed_as_open(registered):
    change(registered)
    found = registered.ask_json("audit", code=3)["findings"][0]["id"]
    registered.ask_json("findings", "ack", found, "--reason", "known")
    assert ([], [found]) == (listed(registered), [one["id"] for one in listed(registered, "-a")])


def test_dry_run_records_no_audit_and_no_finding(registered):
    change(registered)
    before = registered.ask_json("catalog", "events")
    assert [("DG101", "a")] == codes(registered.ask_json("audit", "--dry-run", code=3))
    assert before == registered.ask_json("catalog", "events")


def policy(world, text):
    file = world.top / "policy.toml"
    file.write_text(f'format = "policy/1"\nname = "ours"\n{text}')
    return ("--policy", str(file))


def test_severity_comes_from_the_policy(registered):
    os.chmod(registered.gold / "a", 0o600)
    words = policy(registered, '[severity]\nDG105 = "error"\n')
    found = registered.ask_json("audit", *words, code=3)
    assert ["error"] == [one["severity"] for one in found["findings"]]


@pytest.mark.parametrize(("days", "code"), [(1, 0), (-1, 3)])
def test_exemption_bears_a_finding_until_it_expires(registered, days, code):
    change(registered)
    day = (datetime.now(UTC) + timedelta(days=days)).date()
    words = policy(
        registered,
        f'[[exemption]]\ncodes = ["DG101"]\ndataset = "faces"\npath = "a"\n'
        f'reason = "being corrected"\nexpires = {day}\n',
    )
    found = registered.ask_json("audit", *words, code=code)
    assert [("DG101", "a")] == codes(found)
    exempted = "being corrected" in json.dumps(found["findings"][0]["evidence"])
    assert (code == 0) == exempted


@pytest.mark.parametrize(
    ("asked", "done", "number", "words"),
    [
        ("quick", "quick", 1, ""),
        ("full", "full", 4, ""),
        ("0", "quick", 1, "level 0 was asked, level 1 (quick) was done"),
        ("1", "quick", 1, "level 1 is quick"),
        ("2", "full", 4, "level 2 was asked, level 4 (full) was done"),
        ("3", "full", 4, "level 3 was asked, level 4 (full) was done"),
        ("4", "full", 4, "level 4 is full"),
    ],
)
def test_level_that_was_really_done_is_said(registered, asked, done, number, words):
    found = registered.ask_json("audit", "--level", asked)
    assert (done, number) == (found["level"], found["level_number"])
    assert found["level_note"].startswith(words)
    assert bool(words) is bool(found["level_note"])
    assert found["level_note"] in registered.ask("audit", "--level", asked).out


@pytest.mark.parametrize("level", ["5", "-1", "", "04", "\u0664", "QUICK", "0.5"])
def test_level_that_is_none_is_a_usage_error(registered, level):
    assert 2 == registered.fails("audit", "--level", level)["exit_code"]


def test_age_of_an_audit_counts_from_its_start(registered, monkeypatch):
    """What it read first may have changed while it read the rest."""
    first_audit = register._first_audit

    def long_ago(*arguments):
        audited = first_audit(*arguments)
        return replace(audited, started=audited.started - timedelta(hours=2))

    monkeypatch.setattr(register, "_first_audit", long_ago)
    registered.ask_json("register", "other", str(registered.gold), "--note", "long")
    assert 1 == len(registered.ask_json("audit", "other@1", "--max-age", "1h")["versions"])
    registered.ask_json("register", "third", str(registered.gold))
    assert [] == registered.ask_json("audit", "third@1", "--max-age", "3h")["versions"]


def test_max_age_leaves_out_what_was_audited_since(registered):
    assert [] == registered.ask_json("audit", "--max-age", "1h")["versions"]
    time.sleep(1)
    assert 1 == len(registered.ask_json("audit", "--max-age", "1s")["versions"])


def test_report_holds_the_same_object(registered):
    change(registered)
    file = registered.top / "report.json"
    found = registered.ask_json("audit", "--report", str(file), code=3)
    assert found == json.loads(file.read_text())


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("nosuch",), 10),
        (("faces@9",), 10),
        (("faces@nosuch",), 10),
        (("faces@",), 2),
        (("faces", "--level", "5"), 2),
        (("faces", "--max-age", "soon"), 2),
        (("faces", "--report", "/nowhere/report.json"), 2),
        (("faces", "--slice", "0/4"), 2),
        (("faces", "--slice", "5/4"), 2),
        (("faces", "--slice", "1"), 2),
        (("faces", "--slice", "1/4", "--merge"), 2),
        (("faces", "--from", "report.json"), 2),
        (("faces", "--merge", "--from", "/nowhere.json"), 2),
        (("faces", "--merge", "--from", "/etc/passwd"), 2),
    ],
)
def test_request_that_makes_no_sense_is_refused(registered, words, code):
    assert code == registered.fails("audit", *words)["exit_code"]


def test_audit_without_datasets_is_fine(world):
    found = world.ask_json("audit")
    assert (True, []) == (found["complete"], found["versions"])


def second_dataset(world):
    other = world.top / "other"
    other.mkdir()
    (other / "x").write_bytes(b"x")
    return world.ask_json("register", "other", str(other))


def test_damaged_manifest_keeps_no_other_version_from_being_audited(registered):
    second = second_dataset(registered)
    (registered.top / "other" / "y").touch()
    manifest = registered.home / "manifests" / (registered.version_root("faces") + ".parquet")
    os.chmod(manifest, 0o644)
    manifest.write_bytes(manifest.read_bytes()[:-9])
    answer = registered.ask("audit", "--format", "json")
    found = json.loads(answer.out)
    assert (13, False, [("DG103", "y")]) == (answer.code, found["complete"], codes(found))
    assert ["faces", "other"] == [one["dataset"] for one in found["versions"]]
    assert [False, True] == [one["complete"] for one in found["versions"]]
    assert [True, False] == [one["reason"] is not None for one in found["versions"]]
    assert second["root"] == found["versions"][1]["root"]
    assert "faces@1" in found["unreadable"][0]["detail"]
    assert "catalog_damaged" == json.loads(answer.err)["code"]
    text = registered.ask("audit")
    assert "INCOMPLETE" in text.out
    assert "faces@1" in text.err


def test_findings_under_a_damaged_manifest_are_not_recorded(registered, monkeypatch):
    """What its reader says before the end may be wrong."""
    monkeypatch.setattr("dataguard.actions.comparison.BATCH", 1)
    change(registered)
    manifest = registered.home / "manifests" / (registered.version_root("faces") + ".parquet")
    os.chmod(manifest, 0o644)
    second_dataset(registered)
    other = registered.home / "manifests" / (registered.version_root("other") + ".parquet")
    shutil.copyfile(other, manifest)
    answer = registered.ask("audit", "faces", "--format", "json")
    assert (13, []) == (answer.code, codes(json.loads(answer.out)))
    assert [] == listed(registered, "--all")


def test_active_version_without_a_location_is_reported_as_not_checked(registered):
    with sqlite3.connect(registered.home / "catalog.db") as database:
        database.execute("UPDATE location SET state = 'superseded'")
    database.close()
    found = registered.ask_json("audit", code=4)
    assert (False, "no active location") == (found["complete"], found["versions"][0]["reason"])
    assert "faces@1" in found["unreadable"][0]["detail"]
    assert 4 == registered.ask("audit", "-q").code


def test_unreadable_paths_are_in_path_order(registered):
    for name in ("z", "b-", "dir/pipe"):
        os.mkfifo(registered.gold / name)
    found = registered.ask_json("audit", code=4)
    assert ["b-", "dir/pipe", "z"] == [one["path"] for one in found["unreadable"]]


def test_many_findings_are_recorded_in_short_transactions(registered, monkeypatch):
    monkeypatch.setattr("dataguard.actions.comparison.BATCH", 10)
    monkeypatch.setattr("dataguard.actions.recording.BATCH", 10)
    for number in range(35):
        (registered.gold / f"{number:02}").touch()
    found = registered.ask_json("audit", code=3)
    assert 35 == len(found["findings"])
    events = registered.ask_json("catalog", "events")["events"]
    sizes = [
        len(one["payload"]["put"]["finding"])
        for one in events
        if one["kind"] == "findings.recorded"
    ]
    assert [10, 10, 10, 5] == sizes
    assert "audit.recorded" == events[-1]["kind"]
    shutil.rmtree(registered.gold / "dir")
    for number in range(35):
        (registered.gold / f"{number:02}").unlink()
    registered.ask_json("audit", code=3)
    assert [("DG102", "dir/b", "open")] == [
        (one["code"], one["path"], one["state"]) for one in listed(registered)
    ]


def test_audit_that_was_ended_leaves_true_findings_and_no_audit(registered, monkeypatch):
    monkeypatch.setattr("dataguard.actions.comparison.BATCH", 2)
    for name in ("x", "y", "z"):
        (registered.gold / name).touch()
    before = registered.ask_json("show", "faces")["last_audit"]
    with monkeypatch.context() as patch:
        patch.setattr("dataguard.actions.audit.record_comparison", ended)
        assert 143 == registered.ask("audit", "faces").code
    assert ["x", "y"] == [one["path"] for one in listed(registered)]
    assert before == registered.ask_json("show", "faces")["last_audit"]
    registered.ask_json("audit", code=3)
    assert [2, 2, 1] == [one["count"] for one in listed(registered)]


def ended(*_args):
    raise InterruptError(15)


def test_slices_of_an_array_job_are_merged(registered):
    change(registered)
    codes_of_tasks = [
        registered.ask("audit", "faces@1", "--slice", f"{index}/3").code for index in (1, 2, 3)
    ]
    assert [0, 0, 3] == sorted(codes_of_tasks)
    found = registered.ask_json("audit", "faces@1", "--merge", code=3)
    assert (True, [("DG101", "a")], 2) == (found["complete"], codes(found), found["checked_files"])
    assert 3 == found["versions"][0]["slices"]


def test_missing_slices_are_named_in_text(registered):
    registered.ask("audit", "faces@1", "--slice", "2/3")
    answer = registered.ask("audit", "faces@1", "--merge")
    assert 4 == answer.code
    assert "1/3, 3/3" in answer.out


def test_json_lists_every_finding_and_text_the_worst(registered):
    for number in range(300):
        (registered.gold / f"{number:03}").touch()
    os.utime(registered.gold / "a", ns=(1, 2))
    found = registered.ask_json("audit", "--dry-run", code=3)
    paths = [one["path"] for one in found["findings"]]
    assert (301, sorted(paths)) == (len(paths), paths)
    rows = registered.ask("audit", "--dry-run", "--format", "jsonl").rows
    assert found["findings"][0]["path"] == rows[0]["path"]
    assert 301 == len(rows)
    text = registered.ask("audit", "--dry-run").out
    assert "... and 251 more" in text
    assert "300 DG103, 1 DG105" in text
    assert "a: the content is the same" not in text


def slice_reports(world, parts):
    """The reports of tasks that each had a copy of the catalog."""
    for index in range(1, parts + 1):
        copy, report = world.top / f"copy{index}", world.top / f"{index}.json"
        world.ask_json("catalog", "copy", str(copy))
        world.ask_process(
            *("audit", "faces@1", "--slice", f"{index}/{parts}", "--report", str(report), "-q"),
            env={**os.environ, "DATAGUARD_HOME": str(copy)},
        )
        yield "--from", str(report)


def test_slices_that_used_copies_of_the_catalog_are_merged_from_their_reports(registered):
    change(registered)
    (registered.gold / os.fsdecode(b"\xff\n")).touch()
    os.mkfifo(registered.gold / "pipe")
    whole = registered.ask_json("audit", "faces@1", "--dry-run", code=3)
    words = [word for words in slice_reports(registered, 3) for word in words]
    part = registered.ask_json("audit", "faces@1", "--merge", *words[:4], code=3)
    assert (False, [3]) == (part["complete"], part["versions"][0]["missing_slices"])
    merged = registered.ask_json("audit", "faces@1", "--merge", *words, code=3)
    for name in ("unreadable", "checked_files", "checked_bytes", "complete"):
        assert whole[name] == merged[name]
    assert codes(whole) == codes(merged)
    assert [1, 1] == [one["count"] for one in merged["findings"]]
    assert registered.ask_json("catalog", "check")["sound"]


def test_older_report_of_a_slice_takes_nothing_back_that_a_later_one_says(registered):
    ((_, clean),) = slice_reports(registered, 1)
    older = registered.top / "older.json"
    os.rename(clean, older)
    shutil.rmtree(registered.top / "copy1")
    change(registered)
    ((_, later),) = slice_reports(registered, 1)
    words = ("--from", later, "--from", str(older))
    merged = registered.ask_json("audit", "faces@1", "--merge", *words, code=3)
    assert not merged["versions"][0]["clean"]
    assert [1] * len(codes(merged)) == [one["count"] for one in merged["findings"]]


def test_report_of_other_content_or_of_no_slice_is_refused(registered):
    ((_, report),) = slice_reports(registered, 1)
    found = json.loads(Path(report).read_text())
    found["versions"][0]["root"] = "dg1:" + "0" * 64
    Path(report).write_text(json.dumps(found))
    assert 11 == registered.fails("audit", "--merge", "--from", report)["exit_code"]
    registered.ask_json("audit", "--report", report)
    assert 2 == registered.fails("audit", "--merge", "--from", report)["exit_code"]
    for damage in ({"gaps": 3}, {"after": None}, {"started": "soon"}, {"level": "deep"}):
        broken = json.loads(json.dumps(found))
        broken["versions"][0]["part"] |= damage
        Path(report).write_text(json.dumps(broken))
        assert 2 == registered.fails("audit", "--merge", "--from", report)["exit_code"]
