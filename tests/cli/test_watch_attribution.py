"""`dataguard watch --attribution audit`: programs that live for a moment are named."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from dataguard.sandbox import auditsocket
from dataguard.sandbox.auditrules import remove_left
from dataguard.sandbox.auditswitch import switch_off_left
from support.auditing import alone, needs_audit, why_no_audit
from support.watching import watching_command

WRITERS = 100


@pytest.fixture(autouse=True)
def _alone():
    with alone():
        yield
        if not why_no_audit():
            remove_left()
            switch_off_left()


def commands(world, *words):
    beats = world.home / "state" / "watch"
    return watching_command(*words, "--format", "jsonl", heartbeats=beats)


def rules_for(place):
    return [rule for rule in auditsocket.rules() if os.fsencode(place) in rule]


@needs_audit
def test_every_short_lived_writer_is_named(registered):
    gold, before, pids = registered.gold, auditsocket.state(), {}
    with commands(registered, "--attribution", "audit") as watcher:
        for number in range(WRITERS):
            words = ["/bin/sh", "-c", "echo x > $0", f"{gold}/new{number}"]
            with subprocess.Popen(words) as writer:
                pids[f"new{number}"] = writer.pid
        watcher.wait_for(*pids)
        assert 143 == watcher.end()
    told = {row["path"]: row["evidence"]["writer"] for row in watcher.rows if row["path"] in pids}
    assert pids == {path: one["pid"] for path, one in told.items()}
    assert {(0, "root")} == {(one["uid"], one["user"]) for one in told.values()}
    assert {os.path.realpath("/bin/sh")} == {one["executable"] for one in told.values()}
    assert all(one["command"][-1].endswith(path) for path, one in told.items())
    assert (before, []) == (auditsocket.state(), rules_for(gold))


@needs_audit
def test_rules_of_a_killed_watcher_are_removed_by_the_next(registered):
    with commands(registered, "--attribution", "audit") as watcher:
        assert 1 == len(rules_for(registered.gold))
        watcher.process.kill()
        watcher.process.wait()
    [left] = rules_for(registered.gold)
    with commands(registered, "--attribution", "audit") as again:
        again.wait(lambda _: rules_for(registered.gold) not in ([left], []))
        assert 143 == again.end()
    assert [] == rules_for(registered.gold)


def test_it_is_refused_with_a_reason_where_the_kernel_does_not_tell(registered):
    under = ()
    if os.geteuid() == 0:
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            pytest.skip("needs setpriv")
        under = (setpriv, "--bounding-set=-audit_read,-audit_control", "--")
    answer = registered.ask_process("watch", "--attribution", "audit", under=under, timeout=60)
    assert 11 == answer.code
    assert "CAP_AUDIT_READ" in answer.err
    assert "--attribution events" in answer.err


def test_coverage_says_whether_writers_can_be_named(registered):
    found = registered.ask_json("watch", "--explain")
    assert "no_audit" in found
    assert "writers" in registered.ask("watch", "--explain").out


def test_unit_may_change_the_rules_of_audit(registered):
    unit = registered.ask("watch", "--emit", "systemd", "--attribution", "audit").out
    assert "--attribution audit" in unit
    for wanted in ("CAP_AUDIT_CONTROL", "CAP_AUDIT_READ", "AF_NETLINK", "RuntimeDirectory="):
        assert wanted in unit
        assert wanted not in registered.ask("watch", "--emit", "systemd").out
