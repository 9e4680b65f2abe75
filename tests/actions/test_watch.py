"""Watching with a source that sees what the test says: judgement, gaps, comparisons."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dataguard.actions import judgement, watchloop
from dataguard.cli import main
from dataguard.errors import NotFoundError
from dataguard.model.finding import FindingState
from dataguard.model.watch import ChangeKind, GapKind, Writer
from support.startedcommands import wait_for
from support.watching import Scripted, watching


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DATAGUARD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def gold(home):
    gold = home.parent / "gold"
    (gold / "dir" / "deep").mkdir(parents=True)
    (gold / "a").write_bytes(b"alpha\n")
    (gold / "dir" / "b").write_bytes(b"beta\n")
    (gold / "dir" / "deep" / "c").write_bytes(b"gamma\n")
    assert 0 == ask("register", "faces", gold)
    return gold


def ask(*words):
    return main([str(word) for word in (*words, "-q")])


def open_findings(home):
    from dataguard.actions.settings import load, load_policy
    from dataguard.cli.opening import open_context
    from dataguard.cli.progress import choose

    settings = load({}, {"DATAGUARD_HOME": str(home)}, workspace=None)
    with open_context(settings, load_policy(settings).policy, choose("never", quiet=True)) as ctx:
        found = ctx.catalog.findings(states=(FindingState.OPEN,))
    return sorted((one.code.name, os.fsdecode(one.path)) for one in found)


def is_running(pid):
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def evidence(session, path):
    return next(dict(one.evidence) for one in session.findings if one.path == os.fsencode(path))


def test_write_is_told_with_the_digests_of_before_and_after_and_who_it_was(home, gold):
    with watching(home) as session:
        (gold / "a").write_bytes(b"other\n")
        writer = Writer(pid=4711, uid=0, executable="/bin/sh", command=("sh",), cgroup="/x")
        session.source.event(gold / "a", writer=writer)
        session.wait_for(("DG301", "a"))
    told = evidence(session, "a")
    assert ("modified", "DG101") == (told["change"], told["finding"])
    assert told["expected_digest"] != told["observed_digest"]
    assert (4711, "root", "unknown") == tuple(told["writer"][k] for k in ("pid", "user", "run"))
    assert [("DG301", "a")] == open_findings(home)


@pytest.mark.parametrize(
    ("act", "kind", "expected"),
    [
        (lambda g: (g / "new").write_bytes(b"x"), ChangeKind.CREATED, ("DG301", "new", "created")),
        (lambda g: (g / "a").unlink(), ChangeKind.DELETED, ("DG301", "a", "deleted")),
        (lambda g: (g / "a").chmod(0o600), ChangeKind.METADATA, ("DG105", "a", None)),
        (lambda g: os.utime(g / "a", (1, 1)), ChangeKind.METADATA, ("DG105", "a", None)),
        (lambda g: os.mkfifo(g / "pipe"), ChangeKind.CREATED, ("DG301", "pipe", "created")),
        (
            lambda g: ((g / "a").unlink(), (g / "a").symlink_to("x")),
            ChangeKind.CREATED,
            ("DG301", "a", "replaced"),
        ),
    ],
    ids=["created", "deleted", "chmod", "utime", "fifo", "replaced"],
)
def test_each_kind_of_change_is_told_as_what_it_is(home, gold, act, kind, expected):
    code, path, change = expected
    with watching(home) as session:
        act(gold)
        session.source.event(gold / path, kind)
        session.wait_for((code, path))
    assert change == evidence(session, path).get("change")
    assert [(code, path)] == session.told()


def test_attribute_that_leaves_content_and_times_alone_is_told(home, gold):
    with watching(home) as session:
        before = os.stat(gold / "a")
        (gold / "a").chmod(0o600)
        (gold / "a").chmod(before.st_mode & 0o777)
        session.source.event(gold / "a", ChangeKind.METADATA)
        session.wait_for(("DG105", "a"))
    assert "ctime_ns" in evidence(session, "a")


def test_touched_file_of_which_no_event_tells_is_found_by_comparison(home, gold):
    (gold / "a").chmod(0o600)
    (gold / "a").chmod(0o644)
    with watching(home) as session:
        session.wait_for(("DG105", "a"))


def test_rename_is_told_at_both_ends(home, gold):
    with watching(home) as session:
        (gold / "a").rename(gold / "z")
        session.source.event(gold / "z", ChangeKind.RENAMED, renamed_from=os.fsencode(gold / "a"))
        session.wait_for(("DG301", "a"), ("DG301", "z"))
    assert str(gold / "a") == evidence(session, "z")["renamed_from"]
    assert str(gold / "z") == evidence(session, "a")["renamed_to"]


def test_renamed_directory_is_told_file_by_file(home, gold):
    with watching(home) as session:
        (gold / "dir").rename(gold / "moved")
        session.source.event(
            gold / "moved",
            ChangeKind.RENAMED,
            is_directory=True,
            renamed_from=os.fsencode(gold / "dir"),
        )
        files = ("b", "deep/c")
        session.wait_for(*(("DG301", f"{top}/{f}") for top in ("dir", "moved") for f in files))
    assert 4 == len(session.findings)
    assert str(gold / "dir/deep/c") == evidence(session, "moved/deep/c")["renamed_from"]


def test_open_without_a_change_is_no_finding(home, gold):
    with watching(home) as session:
        session.source.event(gold / "a", ChangeKind.CLOSED)
        (gold / "new").write_bytes(b"x")
        session.source.event(gold / "new", ChangeKind.CLOSED)
        session.wait_for(("DG301", "new"))
    assert [("DG301", "new")] == session.told()


def test_the_same_state_is_told_once_and_another_one_again(home, gold):
    with watching(home) as session:
        (gold / "a").write_bytes(b"once\n")
        for _ in range(3):
            session.source.event(gold / "a")
            session.wait_for(("DG301", "a"))
        (gold / "a").write_bytes(b"twice\n")
        session.source.event(gold / "a")
        session.wait(lambda one: len(one.findings) == 2)
    assert 1 == len({one.id for one in session.findings})


def test_what_is_put_back_is_resolved(home, gold, tmp_path):
    with watching(home) as session:
        (gold / "a").rename(tmp_path / "kept")
        session.source.event(gold / "a", ChangeKind.DELETED)
        session.wait_for(("DG301", "a"))
        (gold / "new").write_bytes(b"x")
        session.source.event(gold / "new")
        session.wait_for(("DG301", "new"))
        (gold / "new").unlink()
        session.source.event(gold / "new", ChangeKind.DELETED)
    assert [("DG301", "a")] == open_findings(home)


def test_write_in_nested_output_area_is_allowed(home, gold):
    home.mkdir(exist_ok=True)
    (home / "floor.toml").write_text(
        f'format = "policy/1"\nname = "x"\n[areas]\noutput = ["{gold}/out"]\n'
    )
    (home / "config.toml").write_text('policy = "floor.toml"\n')
    (gold / "out").mkdir()
    (gold / "out" / "result").write_bytes(b"x")
    with watching(home) as session:
        session.source.event(gold / "out" / "result")
        (gold / "outer").write_bytes(b"x")
        session.source.event(gold / "outer")
        session.wait_for(("DG301", "outer"))
        session.source.gap()
        session.wait_for(("DG901", ""))
    assert {("DG301", "outer"), ("DG901", "")} == {*session.told()}


@pytest.mark.parametrize("kind", [k for k in GapKind if k is not GapKind.NO_EVENTS])
def test_gap_is_told_and_what_it_hid_is_found(home, gold, kind):
    with watching(home) as session:
        session.source.event(gold / "a")  # the first comparison is over when this is judged
        (gold / "dir" / "b").write_bytes(b"unseen\n")
        session.source.gap(kind)
        session.wait_for((kind.code.name, ""), ("DG101", "dir/b"))


@pytest.mark.usefixtures("gold")
def test_gap_that_was_made_good_is_resolved_and_one_that_lasts_is_not(home):
    for kind, standing in ((GapKind.OVERFLOW, []), (GapKind.UNMOUNTED, [("DG902", "")])):
        with watching(home) as session:
            session.source.gap(kind)
            session.wait_for((kind.code.name, ""))
            session.wait(lambda _, wanted=standing: open_findings(home) == wanted)


@pytest.mark.usefixtures("gold")
def test_place_without_events_is_told_once_and_stays_open(home):
    with watching(home) as session:
        session.source.gap(GapKind.NO_EVENTS)
        session.source.gap(GapKind.NO_EVENTS)
        session.wait_for(("DG904", ""))
    assert [("DG904", "")] == session.told()
    assert [("DG904", "")] == open_findings(home)


@pytest.mark.usefixtures("gold")
def test_source_that_fails_ends_the_watcher(home):
    source = Scripted()
    source.failure = RuntimeError("gone")
    with pytest.raises(RuntimeError, match="gone"), watching(home, source=source, is_ready=False):
        wait_for(lambda: source.closed)


def test_nothing_to_watch_is_not_found(home):
    with pytest.raises(NotFoundError), watching(home, is_ready=False):
        pass


@pytest.mark.usefixtures("gold")
def test_place_registered_later_is_watched_too(home, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "x").write_bytes(b"x")
    with watching(home) as session:
        assert 0 == ask("register", "voices", other)
        session.wait(lambda one: os.fsencode(other) in one.source.started)
        (other / "x").write_bytes(b"y")
        session.source.event(other / "x", root=other)
        session.wait_for(("DG301", "x"))


def test_what_was_registered_meanwhile_is_no_finding(home, gold):
    with watching(home) as session:
        (gold / "more").write_bytes(b"x")
        assert 0 == ask("register", "faces", gold, "--append", "--reason", "more")
        session.source.event(gold / "more")
        (gold / "wrong").write_bytes(b"x")
        session.source.event(gold / "wrong")
        session.wait_for(("DG301", "wrong"))
    assert [("DG301", "wrong")] == session.told()
    assert 2 == session.findings[0].version


def test_registering_what_was_told_resolves_it(home, gold):
    with watching(home) as session:
        (gold / "more").write_bytes(b"x")
        session.source.event(gold / "more")
        session.wait_for(("DG301", "more"))
        ask("register", "faces", gold, "--append", "--reason", "more")
        assert 0 == ask("audit", "faces")


def maintenance(home, until, dataset="*"):
    since = datetime.now(UTC) - timedelta(hours=1)
    (home / "p.toml").write_text(
        'format = "policy/1"\nname = "x"\n[[watch.maintenance]]\nreason = "new labels"\n'
        f'dataset = "{dataset}"\nsince = {since.isoformat()}\nuntil = {until.isoformat()}\n'
    )
    (home / "config.toml").write_text('policy = "p.toml"\n')


def test_nothing_is_told_during_maintenance_and_what_is_left_when_it_ends(home, gold):
    ends = datetime.now(UTC) + timedelta(seconds=3)
    maintenance(home, ends)
    with watching(home, is_ready=False) as session:
        session.wait(lambda one: one.source.started)
        (gold / "a").write_bytes(b"other\n")
        session.source.event(gold / "a")
        session.wait(lambda one: one.remarks)
        session.wait_for(("DG101", "a"))
    assert ends <= session.findings[0].first_seen
    assert "maintenance: new labels" in session.remarks[0]


def test_maintenance_of_another_dataset_hides_nothing(home, gold):
    maintenance(home, datetime.now(UTC) + timedelta(hours=1), dataset="voices")
    with watching(home) as session:
        (gold / "a").write_bytes(b"other\n")
        session.source.event(gold / "a")
        session.wait_for(("DG301", "a"))


def test_nothing_is_told_while_a_seal_is_open(home, gold):
    assert 0 == ask("seal", "faces", "--seal", "mode")
    assert 0 == ask("unseal", "faces", "--reason", "labels", "--for", "1h")
    with watching(home, is_ready=False) as session:
        session.wait(lambda one: one.source.started)
        (gold / "a").write_bytes(b"other\n")
        session.source.event(gold / "a")
        session.wait(lambda one: any("seal was opened" in said for said in one.remarks))
    assert [] == session.told()


def test_sealing_does_not_alarm(home, gold):
    with watching(home) as session:
        assert 0 == ask("seal", "faces", "--seal", "mode")
        for path in ("a", "dir/b", "dir/deep/c"):
            session.source.event(gold / path, ChangeKind.METADATA)
        (gold / "new").write_bytes(b"x")
        session.source.event(gold / "new")
        session.wait_for(("DG301", "new"))
    assert [("DG301", "new")] == session.told()


def test_exempted_finding_is_information_and_quarantines_nothing(home, gold):
    (home / "p.toml").write_text(
        'format = "policy/1"\nname = "x"\n[watch]\nquarantine_on = ["DG301"]\n'
        '[[exemption]]\ncodes = ["DG301"]\npath = "dir/"\nreason = "y"\nexpires = 2999-01-01\n'
    )
    (home / "config.toml").write_text('policy = "p.toml"\n')
    with watching(home) as session:
        (gold / "dir" / "b").write_bytes(b"x")
        session.source.event(gold / "dir" / "b")
        session.wait_for(("DG301", "dir/b"))
        assert "info" == session.findings[0].severity
        assert 0 == ask("gate", "--input", "faces@1", "--output", home.parent / "out")
        (gold / "a").write_bytes(b"x")
        session.source.event(gold / "a")
        session.wait(lambda one: any("quarantined" in said for said in one.remarks))
    assert 3 == ask("gate", "--input", "faces@1", "--output", home.parent / "out")


def test_command_of_the_site_gets_the_alert_and_its_failure_is_told(home, gold, tmp_path):
    said = tmp_path / "said"
    (home / "p.toml").write_text(
        'format = "policy/1"\nname = "x"\n[watch]\n'
        f"command = ['sh', '-c', 'cat > {said}; echo no >&2; exit 7']\n"
    )
    (home / "config.toml").write_text('policy = "p.toml"\n')
    with watching(home) as session:
        (gold / "a").write_bytes(b"x")
        session.source.event(gold / "a")
        session.wait(lambda one: any("exit code 7 no" in remark for remark in one.remarks))
    assert '"code": "DG301"' in said.read_text()


def test_command_that_hangs_is_ended_with_all_it_started(home, gold, tmp_path):
    pid = tmp_path / "pid"
    (home / "p.toml").write_text(
        'format = "policy/1"\nname = "x"\n[watch]\ncommand_timeout = "1s"\n'
        f"command = ['sh', '-c', 'sleep 600 & echo $! > {pid}; wait']\n"
    )
    (home / "config.toml").write_text('policy = "p.toml"\n')
    with watching(home) as session:
        (gold / "a").write_bytes(b"x")
        session.source.event(gold / "a")
        session.wait(lambda one: any("not done after 1 s" in said for said in one.remarks))
    assert not is_running(pid.read_text().strip())


def test_removed_tree_is_one_alert_with_a_count_and_a_finding_for_each_file(home, tmp_path):
    gold = tmp_path / "gold"
    files = [f"tree/{i % 7}/{i % 31}/{i}" for i in range(1_000)]
    for name in files:
        (gold / name).parent.mkdir(parents=True, exist_ok=True)
        (gold / name).write_bytes(b"%d" % len(name))
    (gold / "kept").write_bytes(b"x")
    assert 0 == ask("register", "faces", gold)
    with watching(home) as session:
        shutil.rmtree(gold / "tree")
        for name in files:
            session.source.event(gold / name, ChangeKind.DELETED)
        session.source.event(gold / "tree", ChangeKind.DELETED, is_directory=True)
        session.wait(lambda one: one.alerts)
    assert {("DG301", name) for name in files} == {*session.told()}
    assert len(files) == len(session.findings)
    assert [(1_000, b"tree")] == [(one.count, one.path) for one in session.alerts]


def test_new_tree_is_told_in_parts_and_every_file_once(home, gold, monkeypatch):
    monkeypatch.setattr(judgement, "_PART", 10)
    new = [("DG301", f"new/{number:03}") for number in range(105)]
    with watching(home) as session:
        (gold / "new").mkdir()
        for _, path in new:
            (gold / path).write_bytes(b"x")
        session.source.event(gold / "new", ChangeKind.CREATED, is_directory=True)
        session.wait_for(*new)
    assert new == session.told()
    assert new == open_findings(home)


def test_tree_that_is_gone_is_found_whole_by_the_event_of_its_top(home, gold):
    with watching(home) as session:
        shutil.rmtree(gold / "dir")
        session.source.event(gold / "dir", ChangeKind.DELETED, is_directory=True)
        session.wait_for(("DG301", "dir/b"), ("DG301", "dir/deep/c"))
    assert 2 == len(session.findings)


def test_root_that_is_gone_is_found(home, gold):
    with watching(home) as session:
        gold.rename(gold.parent / "away")
        session.source.event(gold, ChangeKind.DELETED, is_directory=True)
        session.wait_for(("DG102", ""))


def test_excluded_paths_are_not_told(home, tmp_path):
    gold = tmp_path / "gold"
    (gold / "cache").mkdir(parents=True)
    (gold / "a").write_bytes(b"x")
    assert 0 == ask("register", "faces", gold, "--exclude", "cache/", "--exclude", "*.tmp")
    with watching(home) as session:
        for name in ("cache/x", "b.tmp", "b"):
            (gold / name).write_bytes(b"x")
            session.source.event(gold / name)
        session.wait_for(("DG301", "b"))
    assert [("DG301", "b")] == session.told()


def test_change_of_while_it_was_down_is_found_once_with_the_gap(home, gold):
    with watching(home) as session:
        (gold / "a").write_bytes(b"x")
        session.source.event(gold / "a")
        session.wait_for(("DG301", "a"))
        session.wait(lambda _: any((home / "state" / "watch").rglob("*.json")))
    (gold / "dir" / "b").write_bytes(b"x")
    beat = next((home / "state" / "watch").rglob("*.json"))
    beat.write_text(beat.read_text().replace(f'"pid": {os.getpid()}', '"pid": 4194305'))
    with watching(home) as session:
        session.wait_for(("DG903", ""), ("DG101", "dir/b"))
        assert {"from", "to", "stopped"} <= {*evidence(session, "")}
        session.source.gap()
        session.wait_for(("DG901", ""))
    assert sorted([("DG903", ""), ("DG101", "dir/b"), ("DG901", "")]) == sorted(session.told())


def test_source_keeps_events_back_until_those_before_are_judged(home, gold, monkeypatch):
    monkeypatch.setattr(watchloop, "_CROWD", 2)
    with watching(home) as session:
        for name in ("a", "dir/b", "dir/deep/c"):
            (gold / name).write_bytes(b"other\n")
            session.source.event(gold / name, ChangeKind.MODIFIED)
        session.wait_for(("DG301", "a"), ("DG301", "dir/b"), ("DG301", "dir/deep/c"))
        session.wait(lambda one: one.source.crowds == [False, True, False], "room for more")
