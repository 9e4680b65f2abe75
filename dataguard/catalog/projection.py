"""The event table, and what an event does to the others: one function for writing and replay.

An event's payload holds the new records whole: `{"put": {table: [record, ...]}, "remove": {table:
[key, ...]}, ...}`. What else is in it (reason, dataset) is for people to read.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

from sqlalchemy import and_, delete, insert, select

from dataguard.catalog.codec import decode, encode
from dataguard.catalog.database import upsert
from dataguard.catalog.schema import create_schema
from dataguard.catalog.tables import EVENT, PROJECTION, RUN, RUN_INPUT
from dataguard.core.chain import START, Event, Head, canonical_json
from dataguard.errors import CatalogDamagedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sqlalchemy import Connection, Table

    from dataguard.catalog.database import Database

__all__ = ["append", "apply", "head", "head_at", "read_events", "replay"]

_PAGE = 200
_TABLES = {table.name: table for table in PROJECTION}


def append(connection: Connection, event: Event) -> Head:
    """Store an event that follows the head, do to the tables what it says, return the new head."""
    payload = canonical_json(event.payload).decode()
    connection.execute(insert(EVENT), {**encode(event), "payload": payload})
    apply(connection, event)
    return Head(event.seq, event.hash)


def apply(connection: Connection, event: Event) -> None:
    """Do to the tables what an event says.

    Raises:
        CatalogDamagedError: the event is of no form that this dataguard knows.
    """
    put = _by_table(event, "put")
    for table in PROJECTION:
        records = put.get(table.name, [])
        if records:
            upsert(connection, table, [_row(table, record, event.seq) for record in records])
    _replace_inputs(connection, put.get(RUN.name, []))
    for name, keys in _by_table(event, "remove").items():
        for key in keys:
            matches = [_TABLES[name].c[column] == value for column, value in key.items()]
            connection.execute(delete(_TABLES[name]).where(and_(*matches)))


def _replace_inputs(connection: Connection, runs: list[dict[str, object]]) -> None:
    """Keep the inputs of runs where a version's users are looked up."""
    for run in runs:
        connection.execute(delete(RUN_INPUT).where(RUN_INPUT.c.run == run["id"]))
    rows: list[dict[str, object]] = [
        {"run": run["id"], "position": position, **_named(used, "dataset", "version")}
        for run in runs
        for position, used in enumerate(cast("list[dict[str, object]]", run["inputs"]))
    ]
    if rows:
        upsert(connection, RUN_INPUT, rows)


def head(connection: Connection) -> Head:
    """Return the last link of the chain; `START` where there is none."""
    query = select(EVENT.c.seq, EVENT.c.hash).order_by(EVENT.c.seq.desc()).limit(1)
    found = connection.execute(query).first()
    return START if found is None else Head(found.seq, found.hash)


def head_at(connection: Connection, seq: int) -> Head | None:
    """Return the link with a number, None where the log does not reach it."""
    if seq == START.seq:
        return START
    query = select(EVENT.c.seq, EVENT.c.hash).where(EVENT.c.seq == seq)
    found = connection.execute(query).first()
    return None if found is None else Head(found.seq, found.hash)


def read_events(database: Database, after: int = 0) -> Iterator[Event]:
    """Yield the events after a number, in order.

    Reads in pages with a transaction each, so that a slow reader never holds up a writer.
    """
    while True:
        query = select(EVENT).where(EVENT.c.seq > after).order_by(EVENT.c.seq).limit(_PAGE)
        with database.reading() as connection:
            rows = [row._asdict() for row in connection.execute(query)]
        for row in rows:
            yield decode(Event, {**row, "payload": _payload(row)})
            after = row["seq"]
        if len(rows) < _PAGE:
            return


def replay(database: Database, events: Iterable[Event]) -> None:
    """Make an empty database from the events of an unbroken chain, all or nothing.

    Raises:
        CatalogDamagedError: an event is of no form that this dataguard knows.
    """
    with database.writing() as connection:
        create_schema(connection)
        for event in events:
            try:
                append(connection, event)
            except (AttributeError, KeyError, TypeError) as err:
                raise CatalogDamagedError(
                    f"event {event.seq} ({event.kind}) cannot be replayed: {err!r}",
                    hint="restore the catalog's home from a backup",
                ) from err


def _payload(row: Mapping[str, object]) -> object:
    text = str(row["payload"])
    try:
        payload = json.loads(text)
        canonical = canonical_json(payload).decode()
    except ValueError as err:
        raise CatalogDamagedError(f"event {row['seq']} of the catalog is no JSON") from err
    if canonical != text:
        raise CatalogDamagedError(f"event {row['seq']} of the catalog was changed")
    return payload


def _by_table(event: Event, member: str) -> dict[str, list[dict[str, object]]]:
    parts = cast("dict[str, list[dict[str, object]]]", event.payload.get(member, {}))
    unknown = sorted(parts.keys() - _TABLES.keys())
    if unknown:
        raise CatalogDamagedError(
            f"event {event.seq} ({event.kind}) writes to `{unknown[0]}`, which is not known here",
            hint="a newer dataguard wrote it: update dataguard",
        )
    return parts


def _row(table: Table, record: Mapping[str, object], seq: int) -> dict[str, object]:
    """Return all columns; a history's row is named by its event."""
    numbered = {"seq": seq, **record}
    return {column.name: numbered.get(column.name) for column in table.c}


def _named(record: Mapping[str, object], *names: str) -> dict[str, object]:
    return {name: record[name] for name in names}
