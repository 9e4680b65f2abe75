"""Rules of the kernel's audit: added, told, taken back, also after a killed process."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from dataguard.sandbox import auditsocket
from dataguard.sandbox.auditrules import key_of, remove_left, rule_for
from dataguard.sandbox.auditswitch import switched_on
from support.auditing import alone, needs_audit

pytestmark = needs_audit


@pytest.fixture(autouse=True)
def _alone():
    with alone():
        yield


def ours(place):
    return [rule for rule in auditsocket.rules() if os.fsencode(place) in rule]


@pytest.fixture
def rule(tmp_path):
    """A function that adds a rule for a process; all are taken back in the end."""

    def add(pid):
        made = rule_for(os.fsencode(tmp_path), key_of(pid))
        auditsocket.add_rule(made)
        return made

    yield add
    for one in ours(tmp_path):
        auditsocket.remove_rule(one)


def test_rule_is_taken_back_as_it_was_added(rule, tmp_path):
    made = rule(os.getpid())
    assert 1 == len(ours(tmp_path))
    auditsocket.remove_rule(made)
    assert [] == ours(tmp_path)


def test_rules_of_dead_processes_are_removed_and_those_of_live_ones_are_not(rule, tmp_path):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        rule(process.pid)
        rule(os.getpid())
        remove_left()
        assert 2 == len(ours(tmp_path))
        process.kill()
    remove_left()
    [left] = ours(tmp_path)
    assert key_of(os.getpid()) in left


def test_rules_that_others_added_stay(tmp_path):
    made = rule_for(os.fsencode(tmp_path), b"somebody-1-1")
    auditsocket.add_rule(made)
    try:
        remove_left()
        assert 1 == len(ours(tmp_path))
    finally:
        auditsocket.remove_rule(made)


def test_kernel_records_a_change_below_the_directory(rule, tmp_path):
    with switched_on(str(tmp_path / "lock")), auditsocket.listening() as channel:
        rule(os.getpid())
        subprocess.run(["touch", str(tmp_path / "made")], check=True)
        end, found = time.monotonic() + 30, False
        while not found and time.monotonic() < end:
            kind, text = auditsocket.receive(channel)
            found = kind == 1302 and b'/made"' in text
    assert found
