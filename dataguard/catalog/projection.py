"""The event table, and what an event does to the others: one function for writing and replay.

An event's payload holds the new records whole: `{"put": {table: [record, ...]}, "remove": {table:
[key, ...]}, ...}`. What else is in it (reason, dataset) is for people to read.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from dataguard.catalog.codec import decode, encode
from dataguard.catalog.reading import fetch
from dataguard.catalog.schema import create_schema
from dataguard.catalog.statements import above, delete, insert_text, select, stored, upsert_text
from dataguard.catalog.tables import EVENT, PROJECTION, RUN, RUN_INPUT
from dataguard.core.chain import START, Event, Head, Rendered, canonical_json, rendered
from dataguard.errors import CatalogDamagedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dataguard.catalog.connection import Connection
    from dataguard.catalog.database import Database
    from dataguard.catalog.description import Table
    from dataguard.catalog.statements import Select

__all__ = ["append", "apply", "head", "head_at", "read_events", "replay"]

_PAGE = 200
_TABLES = {table.name: table for table in PROJECTION}


def append(connection: Connection, event: Event) -> Head:
    """Store an event that follows the head, do to the tables what it says, return the new head."""
    text = rendered(event.payload).text.decode()
    row = stored(EVENT, {**encode(replace(event, payload={})), "payload": text})
    connection.execute(insert_text(EVENT), row)
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
            # A history's row is named by its event.
            _put(connection, table, [{"seq": event.seq, **record} for record in records])
    _replace_inputs(connection, put.get(RUN.name, []))
    for name, keys in _by_table(event, "remove").items():
        for key in keys:
            removal = delete(_TABLES[name], key)
            connection.execute(removal.text, removal.parameters)


def _replace_inputs(connection: Connection, runs: list[dict[str, object]]) -> None:
    """Keep the inputs of runs where a version's users are looked up."""
    for run in runs:
        removal = delete(RUN_INPUT, {"run": run["id"]})
        connection.execute(removal.text, removal.parameters)
    rows: list[dict[str, object]] = [
        {"run": run["id"], "position": position, **_named(used, "dataset", "version")}
        for run in runs
        for position, used in enumerate(cast("list[dict[str, object]]", run["inputs"]))
    ]
    _put(connection, RUN_INPUT, rows)


def _put(connection: Connection, table: Table, records: list[dict[str, object]]) -> None:
    """Insert records, or replace those with the same primary key."""
    connection.execute_many(upsert_text(table), [stored(table, record) for record in records])


def head(connection: Connection) -> Head:
    """Return the last link of the chain; `START` where there is none."""
    return _link(connection, select(EVENT).order_by("-seq").limit(1)) or START


def head_at(connection: Connection, seq: int) -> Head | None:
    """Return the link with a number, None where the log does not reach it."""
    return START if seq == START.seq else _link(connection, select(EVENT, seq=seq))


def _link(connection: Connection, query: Select) -> Head | None:
    found = [decode(Head, row) for row in fetch(connection, query.only("seq", "hash"))]
    return found[0] if found else None


def read_events(database: Database, after: int = 0) -> Iterator[Event]:
    """Yield the events after a number, in order.

    Reads in pages with a transaction each, so that a slow reader never holds up a writer.
    """
    while True:
        query = select(EVENT).where(above("seq", after)).order_by("seq").limit(_PAGE)
        with database.reading() as connection:
            rows = fetch(connection, query)
        for row in rows:
            payload = _payload(row)
            event = replace(decode(Event, {**row, "payload": {}}), payload=payload)
            yield event
            after = event.seq
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
            except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as err:
                raise CatalogDamagedError(
                    f"event {event.seq} ({event.kind}) cannot be replayed: {err!r}",
                    hint="restore the catalog's home from a backup",
                ) from err


def _payload(row: Mapping[str, object]) -> Rendered:
    text = str(row["payload"])
    try:
        payload = json.loads(text)
        canonical = canonical_json(payload)
    except ValueError as err:
        raise CatalogDamagedError(f"event {row['seq']} of the catalog is no JSON") from err
    if canonical.decode() != text:
        raise CatalogDamagedError(f"event {row['seq']} of the catalog was changed")
    return Rendered(payload, canonical)


def _by_table(event: Event, member: str) -> dict[str, list[dict[str, object]]]:
    parts = cast("dict[str, list[dict[str, object]]]", event.payload.get(member, {}))
    unknown = sorted(parts.keys() - _TABLES.keys())
    if unknown:
        raise CatalogDamagedError(
            f"event {event.seq} ({event.kind}) writes to `{unknown[0]}`, which is not known here",
            hint="a newer dataguard wrote it: update dataguard",
        )
    return parts


def _named(record: Mapping[str, object], *names: str) -> dict[str, object]:
    return {name: record[name] for name in names}
