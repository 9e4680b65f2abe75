from __future__ import annotations

import gzip
import os
import shutil
import sqlite3
from contextlib import closing

import pytest
from catalogs import EPOCH, everything, register

from dataguard.catalog.checking import check
from dataguard.catalog.codec import decode, encode
from dataguard.catalog.database import Database
from dataguard.catalog.eventlog import EventLog
from dataguard.catalog.maintenance import rebuild
from dataguard.catalog.projection import replay
from dataguard.catalog.tables import REVISIONS, TABLES
from dataguard.catalog.upgrade import upgrade
from dataguard.core.chain import event_line
from dataguard.model.audit import AuditRecord
from dataguard.model.dataset import Dataset, Location, Tag, Version
from dataguard.model.finding import Finding
from dataguard.model.mount import MountRecord
from dataguard.model.run import Run
from dataguard.model.workspace import WorkspaceRecord

GOLDEN = os.path.join(os.path.dirname(__file__), os.pardir, "golden", "catalog-1")
KINDS = {
    "audit": AuditRecord,
    "dataset": Dataset,
    "finding": Finding,
    "location": Location,
    "mount": MountRecord,
    "run": Run,
    "tag": Tag,
    "tag_history": Tag,
    "version": Version,
    "workspace": WorkspaceRecord,
}


@pytest.fixture
def golden(home):
    with (
        gzip.open(os.path.join(GOLDEN, "catalog.db.gz")) as packed,
        open(home.database, "wb") as db,
    ):
        shutil.copyfileobj(packed, db)
    shutil.copytree(os.path.join(GOLDEN, "events"), home.events)
    return home


@pytest.fixture
def upgraded(golden):
    assert upgrade(golden.url) == ("0001", REVISIONS[-1])
    return golden


def stored_in(driver, columns):
    """Return every row as SQLite has it, types and bytes, of the columns that are known."""
    driver.text_factory = bytes
    found = {}
    for table, names in columns.items():
        typed = ", ".join(f'typeof("{name}"), "{name}"' for name in names)
        found[table] = sorted(driver.execute(f"SELECT {typed} FROM {table}"))
    return found


def columns_of(path):
    with closing(sqlite3.connect(path)) as driver:
        tables = driver.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {
            name: [row[1] for row in driver.execute(f"PRAGMA table_info({name})")]
            for (name,) in tables
            if name != "alembic_version"
        }


def rows_of(path, columns):
    with closing(sqlite3.connect(path)) as driver:
        return stored_in(driver, columns)


def test_golden_catalog_has_a_row_in_every_table(golden):
    rows = rows_of(golden.database, columns_of(golden.database))
    assert {table.name for table in TABLES} == {name for name, found in rows.items() if found}


def test_golden_catalog_is_sound_and_goes_on(upgraded):
    lines = upgraded.lines()
    assert check(upgraded.url, events=upgraded.events).problems == ()
    with closing(upgraded.open(create=False)) as catalog:
        assert [event_line(event) for event in catalog.events()] == lines
        assert catalog.version("faces", 1).note == "back\\slash \x00 \udcff"
        register(catalog, "z", place="/z")
    assert upgraded.lines()[: len(lines)] == lines
    assert check(upgraded.url, events=upgraded.events).problems == ()


def test_golden_catalog_is_the_same_after_a_rebuild(upgraded):
    with closing(upgraded.open(create=False)) as catalog:
        before = everything(catalog)
    columns = columns_of(upgraded.database)
    rows = rows_of(upgraded.database, columns)
    rebuild(upgraded.url, events=upgraded.events, now=EPOCH)
    with closing(upgraded.open(create=False)) as catalog:
        assert everything(catalog) == before
    assert rows_of(upgraded.database, columns) == rows


def test_upgrade_keeps_every_row_of_the_golden_catalog(golden):
    columns = columns_of(golden.database)
    rows = rows_of(golden.database, columns)
    upgrade(golden.url)
    assert rows_of(golden.database, columns) == rows


def test_replay_of_golden_events_stores_the_bytes_of_then(golden):
    columns = columns_of(golden.database)
    with closing(Database.in_memory()) as again:
        replay(again, (logged.event for logged in EventLog(golden.events).verified()))
        with again.driver() as driver:
            assert stored_in(driver, columns) == rows_of(golden.database, columns)


def test_new_catalog_has_the_schema_of_the_golden_one_upgraded(upgraded):
    query = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name"
    with closing(sqlite3.connect(upgraded.database)) as driver:
        expected = driver.execute(query).fetchall()
    with closing(Database.in_memory()) as empty:
        replay(empty, ())
        with empty.driver() as driver:
            assert driver.execute(query).fetchall() == expected


def test_golden_records_are_encoded_as_then(golden):
    for logged in EventLog(golden.events).verified():
        for table, records in logged.event.payload.get("put", {}).items():
            for record in records:
                if table in KINDS:
                    again = {**record, **encode(decode(KINDS[table], record))}
                    assert {name: again[name] for name in record} == record
