"""A `register` that was killed: the same command goes on with what was read."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import time
from datetime import UTC, datetime

import pytest

from dataguard.actions.findings import finding_of
from dataguard.actions.recording import record_findings
from dataguard.actions.settings import load, load_policy
from dataguard.cli.opening import open_context
from dataguard.core.verdicts import Difference
from dataguard.model.finding import Code
from dataguard.model.ports import NoProgress
from dataguard.stores.journal import Journal
from support.killedregister import register_until
from support.killpoints import why_no_strace

FILES = 100
SIZE = 4 << 20
"""From here on every file is a unit of its own, so that a part of the tree can be done."""
TOTAL = FILES * SIZE


def fill(gold):
    for number in range(FILES):
        path = gold / f"d{number // 30}" / f"f{number:03}"
        path.parent.mkdir(exist_ok=True)
        with open(path, "wb") as file:
            file.truncate(SIZE)
            file.write(str(number).encode())


@pytest.fixture
def large(world, monkeypatch):
    """A hundred files of 4 MiB and no others, in a home of its own."""
    shutil.rmtree(world.gold)
    world.gold.mkdir()
    fill(world.gold)
    monkeypatch.setenv("DATAGUARD_ENGINE", "serial")
    return world


def interrupt(world, share, **request):
    register_until(int(TOTAL * share), world.gold, **request)


def journals(world):
    return sorted((world.home / "state").glob("*.journal"))


def counts(result):
    return result["hashed"], result["resumed"]


def fresh_root(world, monkeypatch, *words):
    with monkeypatch.context() as patch:
        patch.setenv("DATAGUARD_HOME", str(world.top / "other-home"))
        return world.register(*words)["root"]


@pytest.mark.parametrize("engine", ["serial", "local"])
def test_what_was_read_before_a_kill_is_not_read_again(large, monkeypatch, engine):
    monkeypatch.setenv("DATAGUARD_ENGINE", engine)
    interrupt(large, 0.8)
    assert 1 == len(journals(large))
    result = large.register()
    assert (FILES, True) == (sum(counts(result)), result["created"])
    assert result["hashed"] <= 0.25 * FILES
    assert fresh_root(large, monkeypatch) == result["root"]
    assert [] == journals(large)


@pytest.mark.skipif(bool(why_no_strace()), reason=why_no_strace() or "-")
def test_files_that_were_read_are_not_even_opened(large, tmp_path):
    interrupt(large, 0.8)
    log = tmp_path / "log"
    under = ("strace", "-f", "-qq", "-e", "trace=openat", "-o", str(log))
    done = large.ask_process("register", "faces", str(large.gold), "--format", "json", under=under)
    opened = set(re.findall(r'openat\(\d+, "(f\d{3})"', log.read_text()))
    assert (0, done.json["hashed"]) == (done.code, len(opened))
    assert 0 < len(opened) <= 0.25 * FILES


def test_second_kill_loses_nothing_of_the_first(large, monkeypatch):
    interrupt(large, 0.5)
    interrupt(large, 0.3)  # of what the second attempt reads
    result = large.register()
    assert result["hashed"] <= 0.25 * FILES
    assert FILES == sum(counts(result))
    assert fresh_root(large, monkeypatch) == result["root"]


def test_audit_is_full_and_began_with_the_first_attempt(large):
    interrupt(large, 0.8)
    between = datetime.now(UTC)
    large.register()
    audit = large.ask_json("show", "faces")["last_audit"]
    assert ("full", FILES, TOTAL) == (
        audit["level"],
        audit["checked_files"],
        audit["checked_bytes"],
    )
    assert datetime.fromisoformat(audit["started"]) < between


def test_text_tells_what_was_taken_over(large):
    interrupt(large, 0.8)
    answer = large.ask("register", "faces", str(large.gold))
    assert "  resumed   80 files read by the attempt before this one\n" in answer.out


def rewrite(path):
    path.write_bytes(b"other")


def rewrite_in_secret(path):
    before = os.stat(path)
    with path.open("r+b") as file:
        file.write(b"!")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace_with_link(path):
    path.unlink()
    path.symlink_to("f001")


@pytest.mark.parametrize("change", [rewrite, rewrite_in_secret, replace_with_link, os.unlink])
def test_what_changed_between_the_attempts_is_seen(large, monkeypatch, change):
    interrupt(large, 0.8)
    change(large.gold / "d0" / "f000")
    result = large.register()
    assert 79 == result["resumed"]
    assert fresh_root(large, monkeypatch) == result["root"]


def test_new_files_among_those_that_were_read_are_read(large, monkeypatch):
    interrupt(large, 0.8)
    (large.gold / "d0" / "f000-").write_bytes(b"new")
    (large.gold / "d1" / "sub").mkdir()
    result = large.register()
    assert (21, 80) == counts(result)
    assert fresh_root(large, monkeypatch) == result["root"]


@pytest.mark.parametrize(
    "words",
    [("--digest", "sha256"), ("--also", "sha256"), ("--exclude", "*.tmp"), ("--rehash",)],
)
def test_other_questions_are_answered_by_reading(large, words):
    interrupt(large, 0.8)
    assert (FILES, 0) == counts(large.register(*words))


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"digest": "sha256"}, ("--digest", "sha256")),
        ({"also": ["sha256", "blake3"]}, ("--also", "sha256", "--also", "blake3")),
        ({"exclude": ["d3/"]}, ("--exclude", "d3/")),
    ],
)
def test_the_same_question_goes_on(large, monkeypatch, request_, words):
    interrupt(large, 0.5, **request_)
    result = large.register(*words)
    assert result["resumed"] >= 50
    assert fresh_root(large, monkeypatch, *words) == result["root"]
    assert large.ask("catalog", "check").code == 0


def test_additional_digests_that_were_taken_over_are_right(large):
    interrupt(large, 0.8, also=["sha256"])
    large.register("--also", "sha256")
    resumed = digest_sheets(large.home)
    shutil.rmtree(large.home)
    large.register("--also", "sha256")
    assert resumed
    assert resumed == digest_sheets(large.home)


def digest_sheets(home):
    """The names of sheets, which are digests of their content, but for those of one location."""
    with sqlite3.connect(home / "catalog.db") as base:
        rows = base.execute("select digest_sheet from version").fetchall()
    return [sheet for (sheet,) in rows if sheet]


def test_expectation_is_checked_against_what_was_taken_over(large, tmp_path):
    (tmp_path / "sums").write_text(f"{'0' * 64}  d0/f000\n")
    interrupt(large, 0.8, expect=str(tmp_path / "sums"))
    result = large.register("--expect", str(tmp_path / "sums"), code=3)
    assert (20, 80) == counts(result)
    assert ["d0/f000"] == [one["path"] for one in result["findings"]]
    # A bad read may have been the reason: this one is read again.
    again = large.register("--expect", str(tmp_path / "sums"), code=3)
    assert (1, 99) == counts(again)


def test_refused_content_is_not_read_again_to_supersede(large):
    large.register()
    fill(large.gold)  # the same content with other times
    rewrite(large.gold / "d0" / "f000")
    refused = large.register(code=3)
    assert (FILES, 0) == counts(refused)
    result = large.register("--supersede", "--reason", "meant")
    assert (0, FILES) == counts(result)
    assert 2 == result["version"]


def test_what_was_added_is_taken_over_beside_the_baseline(large, monkeypatch):
    large.register()
    for number in range(40):
        with open(large.gold / "d1" / f"more{number:02}", "wb") as file:
            file.truncate(SIZE + number)
    register_until(30 * SIZE, large.gold, append=True, reason="more")
    rewrite(large.gold / "d1" / "more00")
    result = large.register("--append", "--reason", "more")
    assert (40, 140) == (sum(counts(result)), result["files"])
    assert result["hashed"] <= 13
    assert fresh_root(large, monkeypatch) == result["root"]
    assert "quick" == large.ask_json("show", "faces")["last_audit"]["level"]


def test_rehash_replaces_what_was_there(large):
    interrupt(large, 0.5)
    interrupt(large, 0.8, rehash=True)
    assert (20, 80) == counts(large.register())


def test_dry_run_uses_the_journal_and_leaves_it(large):
    interrupt(large, 0.8)
    before = journals(large)[0].read_bytes()
    assert (20, 80) == counts(large.register("--dry-run"))
    assert before == journals(large)[0].read_bytes()
    large.register("--dry-run", "--rehash")
    assert before == journals(large)[0].read_bytes()


def test_dry_run_begins_no_journal(large):
    large.register("--dry-run")
    assert not (large.home / "state").exists()


def test_journal_that_outlived_its_registration_does_no_harm(large, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "remove", lambda _: None)  # as a crash right after the commit
        first = large.register()
    assert 1 == len(journals(large))
    assert 0 == large.ask("catalog", "check").code
    assert large.ask("doctor").code in (0, 4)
    again = large.register()
    assert (False, first["root"], (0, 0)) == (again["created"], again["root"], counts(again))
    assert [] == journals(large)


def test_small_sources_leave_no_journal_behind(world, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "remove", lambda _: None)
        world.register()
    assert not (world.home / "state").exists()


def test_journals_of_sources_that_are_gone_expire(large):
    interrupt(large, 0.8)
    (old,) = journals(large)
    shutil.rmtree(large.gold)
    large.gold.mkdir()
    (large.gold / "a").write_bytes(b"1")
    (large.top / "second").mkdir()
    large.ask_json("register", "second", str(large.top / "second"))
    assert [old] == journals(large)
    week = time.time() - 8 * 24 * 3600
    os.utime(old, (week, week))
    large.ask_json("register", "second", str(large.top / "second"))
    assert [] == journals(large)


def test_two_at_once_both_register(large):
    interrupt(large, 0.8)
    first = large.start("register", "faces", str(large.gold), "--format", "json")
    second = large.start("register", "others", str(large.gold), "--format", "json")
    for process in (first, second):
        out, err = process.communicate(timeout=120)
        assert 0 == process.returncode, err
        assert str(FILES).encode() in out
    assert 0 == large.ask("catalog", "check").code


def test_journal_is_private(large):
    interrupt(large, 0.8)
    (journal,) = journals(large)
    assert 0o600 == journal.stat().st_mode & 0o7777
    assert 0o700 == journal.parent.stat().st_mode & 0o7777


def test_rot_that_an_audit_found_between_the_attempts_is_not_resolved(large):
    large.register()
    interrupt(large, 0.8, also=["sha256"])
    with sqlite3.connect(large.home / "catalog.db") as base:
        assert 0 == base.execute("select count(*) from finding").fetchone()[0]
    report_rot("d0/f000")
    result = large.register("--also", "sha256")
    assert 80 == result["resumed"]
    assert ["DG107"] == open_codes(large)
    large.register("--also", "sha256", "--rehash")
    assert [] == open_codes(large)


def test_content_that_differs_for_no_reason_that_shows_is_read_again(large):
    large.register()
    interrupt(large, 0.8, also=["sha256"])
    file = large.gold / "d0" / "f000"
    file.write_bytes(bytes(file.stat().st_size))
    for hashed in (21, 1, 1):
        refused = large.ask_json("register", "faces", str(large.gold), "--also", "sha256", code=3)
        assert ["DG101"] == [one["code"] for one in refused["findings"]]
        assert hashed == refused["hashed"]


def open_codes(world):
    found = world.ask_json("findings", "list")["findings"]
    return [one["code"] for one in found if one["state"] == "open"]


def report_rot(path):
    """Record that the bits of a file rotted, which only an audit of a real disk can find."""
    now = datetime.now(UTC)
    settings = load({}, os.environ, workspace=None)
    with open_context(settings, load_policy(settings).policy, NoProgress()) as context:
        rot = Difference(Code.DG107, path.encode(), "bit rot")
        found = finding_of(context, rot, "faces", 1, now)
        record_findings(context, [found])
