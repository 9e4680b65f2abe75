from __future__ import annotations

from contextlib import closing, contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataguard.catalog.columns import ANY_TEXT, BINARY, BOOLEAN, INTEGER, JSON
from dataguard.catalog.database import Database
from dataguard.catalog.description import Column, Table
from dataguard.catalog.reading import fetch
from dataguard.catalog.statements import (
    above,
    definition,
    delete,
    differs,
    is_in,
    select,
    stored,
    upsert_text,
)
from dataguard.catalog.tables import PROJECTION, TABLES
from dataguard.errors import CatalogDamagedError

THING = Table(
    "thing",
    (
        Column("key", ANY_TEXT, key=True),
        Column("number", INTEGER),
        Column("raw", BINARY, nullable=True),
        Column("sound", BOOLEAN, nullable=True),
        Column("facts", JSON, nullable=True),
    ),
    indexes=(("number",),),
)
TEXT = st.text(max_size=5) | st.text(st.sampled_from("\\u0\udcff\x00:"), max_size=5)
THINGS = st.fixed_dictionaries(
    {
        "key": TEXT,
        "number": st.integers(0, 3),
        "raw": st.none() | st.sampled_from(["", "AP8="]),
        "sound": st.none() | st.booleans(),
        "facts": st.none() | st.integers(0, 2**64) | TEXT | st.lists(TEXT, max_size=2),
    }
)


@contextmanager
def things(*records):
    with closing(Database.in_memory()) as database, database.writing() as connection:
        for text in definition(THING):
            connection.execute(text, {})
        put(connection, *records)
        yield connection


def put(connection, *records):
    connection.execute_many(upsert_text(THING), [stored(THING, record) for record in records])


def keys(connection, query):
    return [row["key"] for row in fetch(connection, query)]


def named(key, number=1):
    return {"key": key, "number": number}


@given(THINGS)
def test_any_record_survives_the_database_and_is_found_again(record):
    with things(record) as connection:
        assert fetch(connection, select(THING)) == [record]
        assert fetch(connection, select(THING, **record)) == [record]


@settings(deadline=None)
@given(st.lists(THINGS, max_size=6), st.lists(TEXT, max_size=3), st.integers(0, 3), st.booleans())
def test_conditions_and_order_agree_with_python(records, some, number, down):
    kept = {record["key"]: record for record in records}
    query = select(THING).where(is_in("key", some), differs("number", number))
    query = query.order_by("-number" if down else "number")
    expected = [one for one in kept.values() if one["key"] in some and one["number"] != number]
    with things(*records) as connection:
        found = fetch(connection, query)
        later = fetch(connection, select(THING).where(above("number", number)))
    assert [one["number"] for one in found] == sorted((x["number"] for x in expected), reverse=down)
    assert sorted(one["key"] for one in found) == sorted(one["key"] for one in expected)
    assert {x["key"] for x in later} == {k for k, x in kept.items() if x["number"] > number}


def test_record_with_a_known_key_replaces_the_row():
    with things(named("k", 1), named("j", 1)) as connection:
        put(connection, named("k", 2))
        assert fetch(connection, select(THING).only("key", "number").order_by("key")) == [
            named("j", 1),
            named("k", 2),
        ]


def test_rows_are_limited_and_removed():
    with things(*(named(key, number) for number, key in enumerate("abcd"))) as connection:
        assert keys(connection, select(THING).order_by("-key").limit(2)) == ["d", "c"]
        removal = delete(THING, {"key": "b", "number": 1})
        connection.execute(removal.text, removal.parameters)
        assert keys(connection, select(THING).order_by("key")) == ["a", "c", "d"]


def test_nothing_is_in_an_empty_list():
    with things(named("a")) as connection:
        assert keys(connection, select(THING).where(is_in("key", []))) == []


def test_values_may_come_from_another_query():
    with things(named("a", 1), named("b", 2)) as connection:
        others = select(THING, number=2).only("key")
        query = select(THING).where(differs("number", 1), is_in("key", others))
        assert keys(connection, query) == ["b"]


@pytest.mark.parametrize(
    "query",
    [
        select(THING).only("colour"),
        select(THING).order_by("-colour"),
        select(THING, colour="red"),
        select(THING).where(is_in("key; DROP TABLE thing", ["a"])),
    ],
)
def test_column_that_the_table_does_not_have_is_a_key_error(query):
    with pytest.raises(KeyError):
        query.statement()


@pytest.mark.parametrize(
    "record", [{"sound": 1}, {"key": 1}, {"raw": "x"}, {"facts": float("nan")}]
)
def test_value_that_does_not_fit_its_column_is_not_stored(record):
    with pytest.raises((TypeError, ValueError)):
        stored(THING, record)


@pytest.mark.parametrize("change", ["facts = '{'", "key = x'00'", "raw = 'text'"])
def test_row_that_nobody_stored_is_damage(change):
    with things(named("a")) as connection:
        connection.execute(f"UPDATE thing SET {change}", {})
        with pytest.raises(CatalogDamagedError, match="a row of `thing` cannot be read"):
            fetch(connection, select(THING))


def test_tables_come_after_those_that_they_name():
    seen = set()
    for table in TABLES:
        assert {key.table for key in table.foreign_keys} <= seen
        seen.add(table.name)
    assert len(seen) == len(TABLES) == len(PROJECTION) + 1


def test_identifiers_are_quoted_as_databases_want_it():
    from sqlalchemy.dialects import postgresql, sqlite

    for table in TABLES:
        text = definition(table)[0]
        for dialect in (sqlite.dialect(), postgresql.dialect()):
            for name in (table.name, *table.names):
                quoted = dialect.identifier_preparer.quote(name)
                assert quoted in {name, f'"{name}"'}
                assert quoted == name or f"\t{quoted} " in text
