"""Watching places that come late or go, and findings that a watcher may not resolve."""

from __future__ import annotations

import os
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dataguard.actions import reaction, watchjudging
from dataguard.actions.reaction import SiteCommand
from dataguard.cli import main
from dataguard.errors import ConflictError, StoreUnreachableError
from dataguard.model.finding import Code, Finding, FindingState, Severity
from dataguard.model.watch import ChangeKind, GapKind, Writer
from support.alerts import alert
from support.startedcommands import wait_for
from support.watching import Scripted, watching


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DATAGUARD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def gold(home):
    gold = home.parent / "gold"
    gold.mkdir()
    (gold / "a").write_bytes(b"alpha\n")
    (gold / "b").write_bytes(b"beta\n")
    assert 0 == ask("register", "faces", gold)
    return gold


def ask(*words):
    return main([str(word) for word in (*words, "-q")])


@contextmanager
def opened(home):
    from dataguard.actions.settings import load, load_policy
    from dataguard.cli.opening import open_context
    from dataguard.cli.progress import choose

    settings = load({}, {"DATAGUARD_HOME": str(home)}, workspace=None)
    with open_context(settings, load_policy(settings).policy, choose("never", quiet=True)) as ctx:
        yield ctx


def open_findings(home):
    with opened(home) as ctx:
        found = ctx.catalog.findings(states=(FindingState.OPEN,))
        return sorted((one.code.name, os.fsdecode(one.path)) for one in found)


def record(home, code, path):
    """Record a finding as an audit would."""
    now = datetime.now(UTC)
    found = Finding(code, Severity.ERROR, path, code.title, now, now, dataset="faces", version=1)
    with opened(home) as ctx, ctx.catalog.transaction() as tx:
        tx.record_findings([found])


class Missing(Scripted):
    """A source that cannot watch what is not there."""

    def start(self, roots):
        for root in roots:
            if not os.path.isdir(root):
                raise StoreUnreachableError(f"no directory {os.fsdecode(root)} to watch")
        return super().start(roots)


def test_place_that_is_missing_at_the_start_is_watched_when_it_comes(home, gold):
    away = gold.rename(gold.parent / "away")
    with watching(home, source=Missing(), is_ready=False) as session:
        session.wait_for(("DG902", ""), ("DG102", ""))
        away.rename(gold)
        session.wait(lambda one: one.source.started, "a source")
        (gold / "new").write_bytes(b"x")
        session.source.event(gold / "new", ChangeKind.CREATED)
        session.wait_for(("DG301", "new"))


def test_other_datasets_are_watched_on_when_one_is_withdrawn(home, gold, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x").write_bytes(b"x")
    assert 0 == ask("register", "voices", tmp_path / "other")
    with watching(home, "faces", "voices") as session:
        assert 0 == ask("withdraw", "voices@1", "--reason", "old")
        session.wait(lambda one: one.source.closed or True)
        (gold / "a").write_bytes(b"other\n")
        session.source.event(gold / "a", root=gold)
        session.wait_for(("DG301", "a"))
        session.over.wait(3)  # in which the places are looked up again


def test_bit_rot_stays_open_where_a_file_was_only_opened(home, gold):
    record(home, Code.DG107, b"a")
    with watching(home) as session:
        session.source.event(gold / "a")
        (gold / "b").write_bytes(b"other\n")
        session.source.event(gold / "b")
        session.wait_for(("DG301", "b"))
    assert [("DG107", "a"), ("DG301", "b")] == open_findings(home)


def test_good_file_at_one_place_says_nothing_of_the_other_place(home, gold, tmp_path):
    replica = tmp_path / "replica"
    replica.mkdir()
    for name in ("a", "b"):
        (replica / name).write_bytes((gold / name).read_bytes())
    assert 0 == ask("register", "faces", replica, "--replica")
    (gold / "a").write_bytes(b"other\n")
    with watching(home) as session:
        session.source.event(gold / "a", root=gold)
        session.wait(lambda one: any(f.path == b"a" for f in one.findings), "a")
        session.source.event(replica / "a", root=replica)
        (replica / "b").write_bytes(b"other\n")
        session.source.event(replica / "b", root=replica)
        session.wait(lambda one: any(f.path == b"b" for f in one.findings), "b")
    assert "a" in {path for _, path in open_findings(home)}


def quarantining(home, code):
    (home / "config.toml").write_text('policy = "policy.toml"\n')
    (home / "policy.toml").write_text(
        f'format = "policy/1"\nname = "q"\n[watch]\nquarantine_on = ["{code}"]\n'
    )


@pytest.mark.usefixtures("gold")
def test_gap_quarantines_where_the_policy_says_so(home):
    quarantining(home, "DG901")
    with watching(home) as session:
        session.source.gap()
        session.wait(lambda one: any("quarantined now" in said for said in one.remarks))


def test_quarantine_is_tried_again_where_the_catalog_was_busy(home, gold, monkeypatch):
    quarantining(home, "DG301")
    tries = []
    quarantine = reaction.quarantine

    def busy_once(*given):
        tries.append(given)
        if len(tries) == 1:
            raise ConflictError("the catalog stayed locked")
        return quarantine(*given)

    monkeypatch.setattr(reaction, "quarantine", busy_once)
    with watching(home) as session:
        (gold / "a").write_bytes(b"other\n")
        session.source.event(gold / "a")
        session.wait(lambda one: any("quarantined now" in said for said in one.remarks))
    assert 2 == len(tries)


@pytest.mark.usefixtures("gold")
def test_one_look_does_not_say_that_a_blind_watcher_sees_again(home):
    with watching(home) as session:
        session.source.gap(GapKind.UNMOUNTED)
        session.wait_for(("DG902", ""))
        session.wait(lambda _: ("DG902", "") in open_findings(home), "the record")
        ask("watch", "--once")
        assert ("DG902", "") in open_findings(home)


def test_too_many_suspects_are_compared_for_every_dataset_at_the_place(home, gold, monkeypatch):
    assert 0 == ask("register", "voices", gold)
    monkeypatch.setattr(watchjudging, "_MOST_SUSPECTS", 1)
    with watching(home) as session:
        for name in ("a", "b"):
            (gold / name).write_bytes(b"other\n")
            session.source.event(gold / name, ChangeKind.MODIFIED, writer=Writer(pid=1))
        wanted = {("faces", b"a"), ("voices", b"a")}
        session.wait(lambda one: wanted <= {(f.dataset, f.path) for f in one.findings}, wanted)


def is_running(pid):
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def test_command_that_hangs_and_a_full_queue_hold_up_no_end(tmp_path, monkeypatch):
    monkeypatch.setattr(reaction, "_WAITING", 2)
    said, pid = [], tmp_path / "pid"
    command = SiteCommand(
        ("sh", "-c", f"echo $$ > {pid}.new; mv {pid}.new {pid}; sleep 60"), 60, said.append
    )
    command.run([alert(1)])
    wait_for(pid.exists)
    command.run([alert(2), alert(3), alert(4)])
    command.close(wait_s=0.1)
    wait_for(lambda: not is_running(int(pid.read_text())))
    assert any("for alert-4: 2 alerts wait" in one for one in said)
    assert "no command was run for 2 alerts: the watcher ended" in said
