from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import closing

import pytest
from catalogs import everything, register

from dataguard.catalog.checking import check
from dataguard.core.chain import event_line

PREAMBLE = """
import os, signal, sys
from contextlib import closing
from catalogs import Home, registration, register
from dataguard.catalog.eventlog import EventLog
from dataguard.catalog import eventlog, projection
home = Home(sys.argv[1])
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
"""
REGISTRAR = """
for turn in range(int(sys.argv[3])):
    with closing(home.open()) as catalog:
        place = f"/gold/{sys.argv[2]}/{turn}"
        version, created = register(catalog, place, place=place)
        assert created
        print(version.number)
"""
IN_TRANSACTION = """
with closing(home.open()) as catalog, catalog.transaction() as t:
    t.register(registration("b", place="/b"))
    die()
"""
BEFORE_EXPORT = """
catalog = home.open()
EventLog.export = die
register(catalog, "b", place="/b")
"""
IN_EXPORT = """
catalog = home.open()
def tear(self, first, lines):
    with open(f"{self.directory}/{first:012}.jsonl", "ab") as segment:
        segment.write(lines[0][:50])
    die()
EventLog._write = tear
register(catalog, "b", place="/b")
"""
NEW_SEGMENT = """
eventlog._EVENTS_PER_SEGMENT = 2
catalog = home.open()
eventlog.sync_folder = die
register(catalog, "b", place="/b")
"""
AT_CREATION = """
import dataguard.catalog.repository as repository
repository.create_schema = die
home.open()
"""
AFTER_CREATION = """
EventLog.export = die
home.open()
"""


def start(program, home, *arguments):
    command = [sys.executable, "-c", PREAMBLE + program, home.path, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(__file__)}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True
    )


def kill_in(program, home):
    with start(program, home) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, errors


def assert_sound(home, catalog):
    assert [event_line(event) for event in catalog.events()] == home.lines()
    assert check(home.url, events=home.events).problems == ()


def test_registrars_at_once_get_every_number_once(home):
    registrars, turns = 8, 20
    processes = [start(REGISTRAR, home, number, turns) for number in range(registrars)]
    numbers = []
    for process in processes:
        with process:
            output, errors = process.communicate(timeout=250)
        assert process.returncode == 0, errors
        numbers += map(int, output.split())
    assert sorted(numbers) == [*range(1, registrars * turns + 1)]
    with closing(home.open()) as catalog:
        assert sorted(numbers) == [version.number for version in catalog.versions("faces")]
        assert_sound(home, catalog)


def test_second_registrar_gets_the_next_number(home, catalog):
    with closing(home.open()) as other:
        assert register(catalog, "a")[0].number == 1
        assert register(other, "b", place="/b")[0].number == 2
        assert register(catalog, "c", place="/c")[0].number == 3
    assert_sound(home, catalog)


def test_kill_inside_a_transaction_leaves_the_state_before(home, catalog):
    register(catalog)
    before = everything(catalog)
    kill_in(IN_TRANSACTION, home)
    with closing(home.open()) as after:
        assert everything(after) == before
        assert register(after, "b", place="/b")[0].number == 2
        assert_sound(home, after)


@pytest.mark.parametrize("program", [BEFORE_EXPORT, IN_EXPORT, NEW_SEGMENT])
def test_kill_after_the_commit_leaves_the_state_after(home, catalog, program):
    register(catalog)
    kill_in(program, home)
    with closing(home.open()) as after:
        assert [version.number for version in after.versions()] == [1, 2]
        assert_sound(home, after)


@pytest.mark.parametrize("program", [AT_CREATION, AFTER_CREATION])
def test_kill_while_the_catalog_is_made_is_made_good(home, program):
    kill_in(program, home)
    with closing(home.open()) as catalog:
        assert [event.kind for event in catalog.events()] == ["catalog.created"]
        assert_sound(home, catalog)
