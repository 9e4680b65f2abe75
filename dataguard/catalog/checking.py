"""Whether a catalog is sound: the database's file, the chain, the log, the projection."""

from __future__ import annotations

from contextlib import suppress
from enum import StrEnum
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING

from dataguard.catalog.codec import decode
from dataguard.catalog.database import Database
from dataguard.catalog.eventlog import EventLog
from dataguard.catalog.projection import read_events, replay
from dataguard.catalog.reading import Reader, fetch
from dataguard.catalog.schema import check_schema, is_empty
from dataguard.catalog.statements import select
from dataguard.catalog.tables import LOCATION, PROJECTION, RUN, VERSION
from dataguard.core.chain import START, Head, find_break
from dataguard.errors import CatalogDamagedError, DataguardError, NotFoundError
from dataguard.model.dataclass import dataclass
from dataguard.model.dataset import Location, Version
from dataguard.model.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.catalog.description import Table

__all__ = ["Aspect", "CatalogReport", "Problem", "SheetUse", "check"]

_LOCK_WAIT_S = 30.0


class Aspect(StrEnum):
    """What a problem is about."""

    DATABASE = "database"
    CHAIN = "chain"
    LOG = "log"
    PROJECTION = "projection"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong with the catalog, in words for the user."""

    aspect: Aspect
    message: str


@dataclass(frozen=True, slots=True)
class SheetUse:
    """A sheet that some record names: its key in the manifest store, and whose it is."""

    dataset: str
    version: int
    key: str


@dataclass(frozen=True, slots=True)
class CatalogReport:
    """What a check found.

    `versions` and `sheets` are what the manifest store has to have; `outputs` are the roots (text)
    whose manifests runs made.
    """

    events: int
    versions: tuple[Version, ...]
    sheets: tuple[SheetUse, ...]
    outputs: tuple[str, ...]
    problems: tuple[Problem, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing was wrong."""
        return not self.problems


def check(url: str, *, events: str) -> CatalogReport:
    """Check everything, on a copy in memory of one moment; others may go on writing.

    An interrupted export of the event log is finished first: it is no damage.

    Raises:
        CatalogDamagedError: the database cannot even be opened, is newer, or was emptied.
        ConfigurationError: the URL makes no sense, or leads to a network file system.
        ConflictError: the database has an older schema, or stayed locked for too long.
        NotFoundError: there is none, or its making was interrupted.
        StoreUnreachableError: database or log cannot be read.
    """
    log = EventLog(events)
    database = Database.open(url, create=False)
    tail, ahead = _tail(log)  # read before the copy: what is in the log was committed before
    try:
        copy = database.snapshot()
        _finish_export(log, database)
    finally:
        database.close()
    try:
        return _report(copy, log, tail, ahead)
    finally:
        copy.close()


def _finish_export(log: EventLog, database: Database) -> None:
    """Complete the log, as every start does: a writer may be, or have died, before its export.

    Where that is not possible the comparison says what is missing.
    """
    with suppress(DataguardError), log.locked(wait_s=_LOCK_WAIT_S):
        log.export(partial(read_events, database))


def _tail(log: EventLog) -> tuple[Head, tuple[Problem, ...]]:
    try:
        return log.tail(), ()
    except CatalogDamagedError as err:
        return START, (Problem(Aspect.LOG, err.message),)


def _report(copy: Database, log: EventLog, tail: Head, known: tuple[Problem, ...]) -> CatalogReport:
    with copy.reading() as connection:
        if is_empty(connection):
            raise _without_catalog(log, tail)
        check_schema(connection)
    faults = tuple(Problem(Aspect.DATABASE, text) for text in copy.faults())
    end, broken = _chain(copy)
    versions, sheets, outputs = _references(copy)
    problems = (
        *faults,
        *broken,
        *(known or _log(copy, log, tail, end)),
        *(() if broken else _projection(copy)),
    )
    return CatalogReport(end.seq, versions, sheets, outputs, problems)


def _without_catalog(log: EventLog, tail: Head) -> DataguardError:
    """Return what an empty database means: a start that died at once, or a loss."""
    if tail == START:
        return NotFoundError(
            "the catalog's database is empty", hint="`dataguard catalog init` makes a catalog"
        )
    return CatalogDamagedError(
        f"the catalog's database is empty, but its event log `{log.directory}` is there",
        hint="`dataguard catalog rebuild` makes the database from the event log",
    )


def _chain(copy: Database) -> tuple[Head, tuple[Problem, ...]]:
    """Return the last event that the chain reaches unbroken, and what breaks it."""
    head = START
    try:
        for event in read_events(copy):
            found = find_break(head, event)
            if found is not None:
                return head, (Problem(Aspect.CHAIN, found.reason),)
            head = Head(event.seq, event.hash)
    except CatalogDamagedError as err:
        return head, (Problem(Aspect.CHAIN, err.message),)
    return head, ()


def _log(copy: Database, log: EventLog, tail: Head, end: Head) -> Iterator[Problem]:
    """Compare line by line; lines that were added after the copy was made are left out."""
    last = START
    try:
        for logged, event in zip(log.verified(), read_events(copy), strict=False):
            if logged.event != event:
                yield Problem(Aspect.LOG, f"{logged.where}: not event {event.seq} of the database")
                return
            last = Head(event.seq, event.hash)
    except CatalogDamagedError as err:
        yield Problem(Aspect.LOG, err.message)
        return
    if last.seq < end.seq:
        yield Problem(Aspect.LOG, f"the log ends at event {last.seq}, the database at {end.seq}")
    if tail.seq > end.seq:
        yield Problem(Aspect.LOG, f"the database ends at event {end.seq}, the log at {tail.seq}")


def _projection(copy: Database) -> Iterator[Problem]:
    """Compare every table with what a replay of the events makes."""
    expected = Database.in_memory()
    try:
        replay(expected, read_events(copy))
        for table in PROJECTION:
            yield from _differences(table, expected, copy)
    except CatalogDamagedError as err:
        yield Problem(Aspect.PROJECTION, err.message)
    finally:
        expected.close()


def _differences(table: Table, expected: Database, found: Database) -> Iterator[Problem]:
    asked = select(table).order_by(*table.primary_key).statement()
    with expected.reading() as left, found.reading() as right:
        rows = zip_longest(left.execute(asked.text, {}), right.execute(asked.text, {}))
        for wanted, there in rows:
            if wanted != there:
                row = wanted or there or {}
                key = " ".join(str(row[name]) for name in table.primary_key)
                message = f"`{table.name}` is not what the events say, first at `{key}`"
                yield Problem(Aspect.PROJECTION, message)
                return


def _references(
    copy: Database,
) -> tuple[tuple[Version, ...], tuple[SheetUse, ...], tuple[str, ...]]:
    with copy.reading() as connection:
        versions = [decode(Version, row) for row in fetch(connection, select(VERSION))]
        locations = [decode(Location, row) for row in fetch(connection, select(LOCATION))]
        runs = [decode(Run, row) for row in fetch(connection, select(RUN))]
        seals = Reader(partial(fetch, connection)).seals()
    sheets = [SheetUse(v.dataset, v.number, v.digest_sheet) for v in versions if v.digest_sheet]
    sheets += [SheetUse(one.dataset, one.version, one.sheet) for one in locations if one.sheet]
    sheets += [
        SheetUse(one.dataset, one.version, key)
        for one in seals
        for key in (one.modes, one.directories)
        if key
    ]
    return (
        tuple(sorted(versions, key=lambda one: (one.dataset, one.number))),
        tuple(sorted(set(sheets), key=lambda one: (one.dataset, one.version, one.key))),
        tuple(sorted({run.output_root for run in runs if run.output_root})),
    )
