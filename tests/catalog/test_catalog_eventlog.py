from __future__ import annotations

import fcntl
import os
from contextlib import closing

import pytest
from catalogs import fill, register

from dataguard.catalog import eventlog
from dataguard.catalog.eventlog import EventLog
from dataguard.core.chain import event_line, first_break
from dataguard.errors import CatalogDamagedError, ConflictError, StoreUnreachableError

FIRST = "000000000001.jsonl"


def segment(home):
    return os.path.join(home.events, FIRST)


def test_log_is_complete_when_a_transaction_returns(home, catalog):
    fill(catalog)
    events = list(catalog.events())
    assert [event_line(event) for event in events] == home.lines()
    assert first_break(events) is None
    assert events[0].kind == "catalog.created"
    assert {event.actor.user for event in events} == {"ada"}


def test_events_can_be_read_from_any_point_on(catalog):
    fill(catalog)
    events = list(catalog.events())
    assert list(catalog.events(after=3)) == events[3:]
    assert list(catalog.events(after=len(events))) == []


def test_log_is_cut_into_segments_named_after_their_first_event(home, monkeypatch):
    monkeypatch.setattr(eventlog, "_EVENTS_PER_SEGMENT", 4)
    with closing(home.open()) as catalog:
        for number in range(9):
            register(catalog, str(number), place=f"/{number}")
    assert sorted(os.listdir(home.events)) == [
        "000000000001.jsonl",
        "000000000005.jsonl",
        "000000000009.jsonl",
    ]
    home.open().close()
    assert [logged.event.seq for logged in EventLog(home.events).verified()] == [*range(1, 11)]


def test_long_backlog_is_written_in_parts(home, catalog, monkeypatch):
    fill(catalog)
    lines = home.lines()
    os.unlink(segment(home))
    monkeypatch.setattr(eventlog, "_BATCH_BYTES", 1_000)
    home.open().close()
    assert home.lines() == lines


def test_missing_log_is_written_anew_over_several_segments(home, catalog, monkeypatch):
    fill(catalog)
    lines = home.lines()
    os.unlink(segment(home))
    monkeypatch.setattr(eventlog, "_EVENTS_PER_SEGMENT", 3)
    home.open().close()
    assert home.lines() == lines
    assert len(os.listdir(home.events)) > 2


@pytest.mark.parametrize("lost", [1, 5, 200, 1_000, 3_000])
def test_start_finishes_an_interrupted_export(home, catalog, lost):
    fill(catalog)
    lines = home.lines()
    os.truncate(segment(home), os.path.getsize(segment(home)) - lost)
    home.open().close()
    assert home.lines() == lines


def test_torn_first_line_is_written_again(home, catalog):
    register(catalog)
    lines = home.lines()
    os.truncate(segment(home), 10)
    home.open().close()
    assert home.lines() == lines


def test_next_transaction_cuts_a_torn_line(home, catalog):
    register(catalog)
    with open(segment(home), "ab") as torn:
        torn.write(b'{"actor":')
    register(catalog, "b", place="/b")
    assert [event_line(event) for event in catalog.events()] == home.lines()


def test_log_that_goes_further_than_the_database_is_damage(home, catalog, tmp_path):
    register(catalog)
    old = tmp_path / "old.db"
    os.link(home.database, old)
    os.rename(home.database, tmp_path / "away")
    (tmp_path / "older").write_bytes(old.read_bytes())
    os.rename(tmp_path / "away", home.database)
    register(catalog, "b", place="/b")
    os.replace(tmp_path / "older", home.database)
    with pytest.raises(CatalogDamagedError, match="goes on to event 3") as caught:
        home.open()
    assert "dataguard catalog rebuild" in str(caught.value.hint)


def test_log_without_its_database_is_damage_and_no_new_catalog(home, catalog):
    register(catalog)
    os.unlink(home.database)
    for _ in range(2):
        with pytest.raises(CatalogDamagedError, match="is gone") as caught:
            home.open()
        assert "dataguard catalog rebuild" in str(caught.value.hint)


def test_log_of_another_catalog_is_damage(home, catalog):
    register(catalog)
    os.unlink(home.database)
    os.rename(home.events, home.path + "/other")
    with closing(home.open()) as other:
        register(other)
    os.rename(home.events, home.path + "/mine")
    os.rename(home.path + "/other", home.events)
    with pytest.raises(CatalogDamagedError, match="is not that of the database"):
        home.open()


def test_last_line_that_is_no_event_is_damage(home, catalog):
    register(catalog)
    with open(segment(home), "ab") as log:
        log.write(b"\x00\x00\n")
    with pytest.raises(CatalogDamagedError, match="the last line of"):
        home.open()


def test_changed_line_is_named(home, catalog):
    fill(catalog)
    lines = home.lines()
    lines[2] = lines[2].replace(b"labels", b"lables", 1).replace(b"fixed", b"fixxd", 1)
    with open(segment(home), "wb") as log:
        log.writelines(lines)
    with pytest.raises(CatalogDamagedError, match=f"{FIRST}:3: event 3 was changed"):
        list(EventLog(home.events).verified())


def test_reader_does_not_wait_for_an_export_in_progress(home, catalog):
    register(catalog)
    os.unlink(segment(home))
    folder = os.open(home.events, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    try:
        home.open().close()
        assert os.listdir(home.events) == []
        busy = EventLog(home.events).locked(wait_s=0.05)
        with pytest.raises(ConflictError, match="keeps the event log"), busy:
            pass
    finally:
        os.close(folder)


def test_log_that_cannot_be_written_stops_the_transaction_before_it_commits(home, catalog):
    register(catalog)
    os.rename(home.events, home.path + "/away")
    open(home.events, "wb").close()
    with pytest.raises(StoreUnreachableError, match="event log"):
        register(catalog, "b", place="/b")


def test_other_files_in_the_folder_are_left_alone(home, catalog):
    with open(os.path.join(home.events, "README"), "w", encoding="ascii") as note:
        note.write("hello")
    register(catalog)
    assert len(list(EventLog(home.events).events())) == 2
