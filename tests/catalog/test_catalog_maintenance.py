from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing

import pytest
from catalogs import ACTOR, EPOCH, Home, everything, fill, register, root_of
from hypothesis import given, settings
from hypothesis import strategies as st

from dataguard.catalog.checking import Aspect, SheetUse, check
from dataguard.catalog.database import Database
from dataguard.catalog.eventlog import EventLog
from dataguard.catalog.maintenance import backup, copy, rebuild
from dataguard.catalog.projection import read_events, replay
from dataguard.core.chain import START, next_event
from dataguard.errors import CatalogDamagedError, ConflictError, NotFoundError

KEPT = ".before-rebuild-20260101T000000.000000Z"


def tamper(home, statement):
    with closing(sqlite3.connect(home.database)) as database, database:
        database.execute("PRAGMA foreign_keys = OFF")
        assert database.execute(statement).rowcount


def rebuilt(home):
    return rebuild(home.url, events=home.events, now=EPOCH)


def aspects(home):
    return [problem.aspect for problem in check(home.url, events=home.events).problems]


def test_sound_catalog_has_no_problems_and_names_what_it_needs(home, catalog):
    fill(catalog)
    report = check(home.url, events=home.events)
    assert report.sound
    assert report.events == len(list(catalog.events()))
    assert [version.root for version in report.versions] == [root_of(c) for c in "abc"]
    assert report.sheets == (
        SheetUse("faces", 1, "s1"),
        SheetUse("faces", 2, "d1"),
        SheetUse("faces", 2, "s1"),
        SheetUse("labels", 1, "s1"),
    )


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE version SET files = 7 WHERE number = 1",
        "DELETE FROM finding WHERE path = x'62'",
        "UPDATE tag_history SET version = 2",
        "INSERT INTO workspace SELECT '/x', host, outputs, created, actor FROM workspace",
    ],
)
def test_record_that_the_events_do_not_explain_is_found(home, catalog, statement):
    fill(catalog)
    tamper(home, statement)
    assert aspects(home) == [Aspect.PROJECTION]


def test_missing_parent_record_is_found(home, catalog):
    fill(catalog)
    tamper(home, "DELETE FROM dataset WHERE name = 'labels'")
    assert aspects(home) == [Aspect.DATABASE, Aspect.PROJECTION]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE event SET payload = replace(payload, 'fixed', 'fixxd') WHERE seq = 3",
        "UPDATE event SET payload = ' ' || payload WHERE seq = 3",
        "UPDATE event SET payload = '{' WHERE seq = 3",
        "DELETE FROM event WHERE seq = 3",
        "UPDATE event SET time = 'never' WHERE seq = 3",
    ],
)
def test_changed_event_breaks_the_chain(home, catalog, statement):
    fill(catalog)
    tamper(home, statement)
    assert Aspect.CHAIN in aspects(home)


def test_changed_line_of_the_log_is_found(home, catalog):
    fill(catalog)
    name = os.path.join(home.events, "000000000001.jsonl")
    lines = home.lines()
    lines[2] = lines[2].replace(b"fixed", b"fixxd", 1)
    with open(name, "wb") as log:
        log.writelines(lines)
    report = check(home.url, events=home.events)
    assert [problem.aspect for problem in report.problems] == [Aspect.LOG]
    assert f"{name}:3: event 3 was changed" in report.problems[0].message


def test_log_that_is_behind_is_completed_as_by_every_start(home, catalog):
    fill(catalog)
    lines = home.lines()
    with open(os.path.join(home.events, "000000000001.jsonl"), "wb") as log:
        log.writelines(lines[:-1])
    assert aspects(home) == []
    assert home.lines() == lines


def test_log_that_is_ahead_is_found(home, catalog):
    fill(catalog)
    lines = home.lines()
    tamper(home, f"DELETE FROM event WHERE seq = {len(lines)}")
    assert Aspect.LOG in aspects(home)


def test_empty_database_is_no_catalog_unless_its_log_says_otherwise(home, catalog):
    fill(catalog)
    os.truncate(home.database, 0)
    with pytest.raises(CatalogDamagedError, match="event log"):
        check(home.url, events=home.events)
    with pytest.raises(NotFoundError):
        check(home.url, events=home.events + ".none")


def test_check_holds_while_others_write(home, catalog):
    register(catalog)
    stop = threading.Event()

    def write():
        number = 0
        with closing(home.open()) as other:
            while not stop.is_set():
                number += 1
                register(other, str(number), place=f"/{number}")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        reports = [check(home.url, events=home.events) for _ in range(15)]
    finally:
        stop.set()
        writer.join()
    assert [report.problems for report in reports] == [()] * 15
    assert reports[0].events < reports[-1].events


def test_rebuild_of_a_deleted_database_gives_equal_records(home, catalog):
    fill(catalog)
    expected = everything(catalog)
    os.unlink(home.database)
    done = rebuilt(home)
    assert (done.events, done.kept) == (len(expected[-1]), None)
    with closing(home.open()) as after:
        assert everything(after) == expected
        register(after, "z", place="/z")
    assert check(home.url, events=home.events).sound


def test_rebuild_works_after_a_command_that_found_the_database_gone(home, catalog):
    fill(catalog)
    expected = everything(catalog)
    os.unlink(home.database)
    with pytest.raises(CatalogDamagedError, match="is gone"):
        home.open()
    assert rebuilt(home).kept is None
    with closing(home.open()) as after:
        assert everything(after) == expected


def test_rebuild_undoes_tampering_and_keeps_the_old_database(home, catalog):
    fill(catalog)
    expected = everything(catalog)
    tamper(home, "UPDATE version SET files = 7")
    assert rebuilt(home).kept == home.database + KEPT
    assert everything(catalog) == expected
    assert sorted(os.listdir(home.path)) == ["catalog.db", "catalog.db" + KEPT, "events"]


def test_rebuild_exports_what_the_log_lacks_first(home, catalog):
    fill(catalog)
    expected = everything(catalog)
    os.unlink(os.path.join(home.events, "000000000001.jsonl"))
    rebuilt(home)
    assert everything(catalog) == expected


def test_rebuild_replaces_a_file_that_is_no_database_and_leaves_no_side_file(home, catalog):
    fill(catalog)
    expected = everything(catalog)
    for name in (home.database, home.database + "-journal"):
        with open(name, "wb") as damaged:
            damaged.write(b"x" * 5000)
    rebuilt(home)
    assert everything(catalog) == expected
    assert sorted(os.listdir(home.path)) == ["catalog.db", "catalog.db" + KEPT, "events"]


def test_rebuild_refuses_a_broken_chain_and_names_the_line(home, catalog):
    fill(catalog)
    before = everything(catalog)
    lines = home.lines()
    del lines[4]
    with open(os.path.join(home.events, "000000000001.jsonl"), "wb") as log:
        log.writelines(lines)
    with pytest.raises(CatalogDamagedError, match=r"000000000001.jsonl:5: event 5 expected"):
        rebuilt(home)
    assert everything(catalog) == before
    assert sorted(os.listdir(home.path)) == ["catalog.db", "events"]


def test_rebuild_without_events_is_refused(home):
    with pytest.raises(NotFoundError, match="no events"):
        rebuilt(home)


def test_rebuild_twice_at_one_moment_keeps_both_databases(home, catalog):
    fill(catalog)
    rebuilt(home)
    with pytest.raises(ConflictError):
        rebuilt(home)
    assert check(home.url, events=home.events).sound


def test_writer_that_waited_for_a_rebuild_does_not_write_the_old_file(home, catalog, monkeypatch):
    register(catalog)
    entered = Database.identity
    calls = []

    def swap_after_first(self):
        found = entered(self)
        if not calls:
            calls.append(1)
            rebuilt(home)
        return found

    monkeypatch.setattr(Database, "identity", swap_after_first)
    with pytest.raises(ConflictError, match="rebuilt at this moment"):
        register(catalog, "b", place="/b")
    assert register(catalog, "b", place="/b")[0].number == 2


@pytest.mark.parametrize(
    "payload",
    [
        {"put": {"galaxy": [{}]}},
        {"put": {"run": [{}]}},
        {"put": {"version": [{"dataset": "x"}]}},
        {"put": {"tag": [{"dataset": "x", "name": "t", "version": 1, "moved": "now"}]}},
        {"remove": {"tag": [{"colour": 1}]}},
        {"put": []},
    ],
)
def test_event_that_makes_no_sense_is_damage(payload):
    event = next_event(START, time=EPOCH, kind="x", actor=ACTOR, payload=payload)
    with closing(Database.in_memory()) as database, pytest.raises(CatalogDamagedError):
        replay(database, [event])


def test_backup_is_one_file_that_is_the_catalog_again(home, catalog, tmp_path):
    fill(catalog)
    expected = everything(catalog)
    other = Home(str(tmp_path / "other"))
    backup(home.url, other.database)
    register(catalog, "later", place="/later")
    with closing(other.open()) as restored:
        assert everything(restored) == expected
    assert len(other.lines()) == len(expected[-1])
    with pytest.raises(ConflictError, match="exists already"):
        backup(home.url, other.database)


def test_copy_brings_database_and_log_and_survives_a_first_try(home, catalog, tmp_path):
    fill(catalog)
    other = Home(str(tmp_path / "other"))
    with open(other.database + ".part", "wb") as left:
        left.write(b"torn")
    copy(home.url, other.path)
    assert sorted(os.listdir(other.path)) == ["catalog.db", "events"]
    assert other.lines() == home.lines()
    with closing(other.open()) as copied:
        assert everything(copied) == everything(catalog)
    assert check(other.url, events=other.events).sound


def test_missing_catalog_cannot_be_checked_or_backed_up(home, tmp_path):
    for action in (
        lambda: check(home.url, events=home.events),
        lambda: backup(home.url, str(tmp_path / "b.db")),
        lambda: copy(home.url, str(tmp_path)),
    ):
        with pytest.raises(NotFoundError):
            action()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["append", "supersede", "plain"]),
        st.sampled_from("abcd"),
        st.sampled_from(["/p", "/q"]),
        st.sampled_from(["faces", "labels"]),
    ),
    max_size=12,
)


@settings(max_examples=15, deadline=None)
@given(STEPS)
def test_any_history_replays_to_the_same_records(tmp_path_factory, steps):
    home = Home(str(tmp_path_factory.mktemp("history")))
    with closing(home.open()) as catalog, closing(Database.in_memory()) as again:
        for how, content, place, dataset in steps:
            words = {} if how == "plain" else {how: True, "reason": "r"}
            try:
                register(catalog, content, place=place, dataset=dataset, **words)
            except ConflictError:
                continue
        assert check(home.url, events=home.events).sound
        for dataset in catalog.datasets():
            numbers = [version.number for version in catalog.versions(dataset.name)]
            assert numbers == [*range(1, len(numbers) + 1)]
        replay(again, (logged.event for logged in EventLog(home.events).verified()))
        assert list(read_events(again)) == list(catalog.events())
