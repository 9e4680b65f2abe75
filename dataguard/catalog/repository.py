"""The catalog as everybody else sees it: open it, ask it, change it in a transaction."""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Self

from dataguard.catalog.change import permit_all
from dataguard.catalog.database import Database
from dataguard.catalog.eventlog import EventLog
from dataguard.catalog.projection import head, head_at, read_events
from dataguard.catalog.reading import Reader, fetch
from dataguard.catalog.schema import check_schema, create_schema, is_empty
from dataguard.catalog.writing import Transaction
from dataguard.errors import (
    CatalogDamagedError,
    ConflictError,
    NotFoundError,
    StoreUnreachableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from dataguard.catalog.change import Allow
    from dataguard.catalog.reading import Record
    from dataguard.catalog.statements import Select
    from dataguard.core.chain import Event, Head
    from dataguard.model.actor import Actor
    from dataguard.model.ports import Clock

__all__ = ["Catalog"]

_LOCK_WAIT_S = 30.0
_REBUILD = "`dataguard catalog rebuild` makes the database from the event log"


class Catalog(Reader):
    """An open catalog. Reading methods see the state of their moment; see `transaction`."""

    def __init__(
        self, database: Database, log: EventLog, *, clock: Clock, actor: Actor, allow: Allow
    ) -> None:
        super().__init__(self._read)
        self._database = database
        self._log = log
        self._clock = clock
        self._actor = actor
        self._allow = allow

    @classmethod
    def open(
        cls,
        url: str,
        *,
        events: str,
        clock: Clock,
        actor: Actor,
        allow: Allow = permit_all,
        create: bool = True,
    ) -> Self:
        """Open the catalog at a database URL whose event log is the folder `events`.

        Makes a new one where there is none and `create` is on, and finishes an interrupted
        export. A catalog that may only be read can be opened too.

        Raises:
            CatalogDamagedError: the database is damaged or newer, or its log says otherwise.
            ConfigurationError: the URL makes no sense, or leads to a network file system.
            ConflictError: the database has an older schema, or stayed locked for too long.
            NotFoundError: there is none and `create` is off.
            StoreUnreachableError: database or log cannot be read.
        """
        database = Database.open(url, create=create)
        catalog = cls(database, EventLog(events), clock=clock, actor=actor, allow=allow)
        try:
            catalog._make_ready(create=create)
        except BaseException:
            database.close()
            raise
        return catalog

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def head(self) -> Head:
        """Return the last link of the event log: as long as it is the same, so is every record."""
        with self._database.reading() as connection:
            return head(connection)

    def events(self, after: int = 0) -> Iterator[Event]:
        """Yield the events after a number, in order; never holds up a writer."""
        return read_events(self._database, after)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Give the verbs, alone in the write lock; commits at the end, or nothing happened.

        When it returns, the events are in the log too. What an error inside leaves is the state
        before.

        Raises:
            CatalogDamagedError: the database is damaged.
            ConflictError: database or log stayed locked for too long.
            StoreUnreachableError: database or log cannot be written.
        """
        if not self._log.is_writable():
            raise StoreUnreachableError(
                f"cannot write the event log `{self._log.directory}`",
                hint="check who may write there; `dataguard doctor` shows where the catalog is",
            )
        with self._database.writing() as connection:
            check_schema(connection)
            made = Transaction(connection, clock=self._clock, actor=self._actor, allow=self._allow)
            yield made
        self._export(made.events, wait_s=_LOCK_WAIT_S)

    def _read(self, query: Select) -> list[Record]:
        with self._database.reading() as connection:
            return fetch(connection, query)

    def _make_ready(self, *, create: bool) -> None:
        with self._database.reading() as connection:
            empty = is_empty(connection)
        if empty:
            self._make(create=create)
        # The log is read first: what is in it was committed before.
        tail = self._log.tail()
        with self._database.reading() as connection:
            check_schema(connection)
            known = head_at(connection, tail.seq)
            behind = head(connection).seq > tail.seq
        if known != tail:
            raise _diverged(tail, known)
        if behind:
            self._finish_export()

    def _make(self, *, create: bool) -> None:
        if not create:
            raise NotFoundError(
                f"no catalog at `{self._database.path}`", hint="`dataguard catalog init` makes one"
            )
        with self._database.writing() as connection:
            if not is_empty(connection):
                return  # another process was faster
            if self._log.tail().seq:
                raise CatalogDamagedError(
                    f"the catalog `{self._database.path}` is gone, but its event log is there",
                    hint=_REBUILD,
                )
            create_schema(connection)
            founding = Transaction(
                connection, clock=self._clock, actor=self._actor, allow=permit_all
            )
            founding.found_catalog(_random_uuid())
        self._export(wait_s=_LOCK_WAIT_S)

    def _export(self, made: Sequence[Event] = (), *, wait_s: float) -> None:
        with self._log.locked(wait_s=wait_s):
            self._log.export(partial(self._events_after, made))

    def _events_after(self, made: Sequence[Event], seq: int) -> Iterator[Event]:
        """Yield the events after a number; what was `made` here just now is not read back."""
        if made and made[0].seq == seq + 1:
            yield from made
            seq = made[-1].seq
        yield from read_events(self._database, seq)

    def _finish_export(self) -> None:
        """Complete the log where that is possible; who may only read is not kept from it."""
        try:
            self._export(wait_s=0)
        except (ConflictError, StoreUnreachableError):
            # Somebody else is exporting now, or the log cannot be written here: the next command
            # that writes completes it, or fails.
            return


def _diverged(tail: Head, known: Head | None) -> CatalogDamagedError:
    if known is None:
        return CatalogDamagedError(
            f"the event log goes on to event {tail.seq}, which the database does not have",
            hint=_REBUILD,
        )
    return CatalogDamagedError(
        f"event {tail.seq} of the event log is not that of the database",
        hint="restore both from one backup; " + _REBUILD,
    )


def _random_uuid() -> str:
    """Return a UUID of version 4 (RFC 9562, 5.4); the library's module is slow to load."""
    made = bytearray(os.urandom(16))
    made[6] = made[6] & 0x0F | 0x40
    made[8] = made[8] & 0x3F | 0x80
    text = made.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
