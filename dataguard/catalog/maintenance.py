"""Looking after a catalog: rebuild it from its log, copy it while others write."""

from __future__ import annotations

import os
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from dataguard.catalog.address import database_path, sqlite_url
from dataguard.catalog.database import Database
from dataguard.catalog.eventlog import EventLog, sync_folder
from dataguard.catalog.filesystem import check_local
from dataguard.catalog.projection import read_events, replay
from dataguard.errors import (
    CatalogDamagedError,
    ConflictError,
    NotFoundError,
    StoreUnreachableError,
)
from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

__all__ = ["Rebuilt", "backup", "copy", "rebuild"]

_LOCK_WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild did: how many events it replayed, and where the old database is now."""

    events: int
    kept: str | None


def rebuild(url: str, *, events: str, now: datetime) -> Rebuilt:
    """Make the database anew from the event log and put it in place in one step.

    What a sound old database has that the log lacks is exported first. The old one is kept
    beside, named after `now`. Writers are kept out meanwhile.

    Raises:
        CatalogDamagedError: the log's chain is broken; names the line.
        ConflictError: database or log stayed locked for too long.
        NotFoundError: there are no events.
        StoreUnreachableError: something cannot be read or written.
    """
    path = database_path(url)
    check_local(os.path.dirname(path))
    log = EventLog(events)
    fresh = f"{path}.rebuilding"
    with ExitStack() as stack:
        stack.enter_context(log.locked(wait_s=_LOCK_WAIT_S))
        stack.callback(_remove, fresh)
        if _has_content(path):
            # Without this a writer could commit to the old file after its events were exported.
            _hold(stack, url, log)
        count = _replayed(log, fresh)
        kept = _exchange(path, fresh, f"{path}.before-rebuild-{now:%Y%m%dT%H%M%S.%fZ}")
    return Rebuilt(count, kept)


def backup(url: str, target: str) -> None:
    """Write the catalog to one new file, as of one moment; others may go on writing.

    The file is a database with all events: as `catalog.db` of an empty home it is the catalog
    again, its event log comes with the next command. Manifests and sheets are not in it.

    Raises:
        CatalogDamagedError: the database is damaged.
        ConflictError: the target exists, or the database stayed locked for too long.
        NotFoundError: there is no catalog.
        StoreUnreachableError: something cannot be read or written.
    """
    _refuse_existing(target)
    part = f"{target}.part"
    with closing(Database.open(url, create=False)) as database, _converting("write", target):
        try:
            _remove(part)
            database.save(part)
            _publish(part, target)
        finally:
            _remove(part)


def copy(url: str, home: str) -> None:
    """Write database and event log to another home, as of one moment; rerun it after a crash.

    Manifests and sheets are the caller's to copy.

    Raises:
        CatalogDamagedError: the database is damaged, or the home has another catalog's events.
        ConflictError: the home has a catalog, or the database stayed locked for too long.
        NotFoundError: there is no catalog.
        StoreUnreachableError: something cannot be read or written.
    """
    target = os.path.join(home, "catalog.db")
    _refuse_existing(target)
    part = f"{target}.part"
    with closing(Database.open(url, create=False)) as database, _converting("write", target):
        try:
            _remove(part)
            database.save(part)
            _export_all(part, EventLog(os.path.join(home, "events")))
            _publish(part, target)
        finally:
            _remove(part)


def _hold(stack: ExitStack, url: str, log: EventLog) -> None:
    """Keep writers off the old database and complete the log from it, if it is sound enough."""
    with suppress(CatalogDamagedError):
        old = stack.enter_context(closing(Database.open(url, create=False)))
        stack.enter_context(old.writing())
        log.export(partial(read_events, old))


def _replayed(log: EventLog, fresh: str) -> int:
    last = log.tail().seq
    if last == 0:
        raise NotFoundError(
            f"the event log `{log.directory}` has no events",
            hint="restore the catalog's home from a backup",
        )
    with _converting("write", fresh):
        _remove(fresh)
    with closing(Database.open(sqlite_url(fresh), create=True)) as database:
        replay(database, (logged.event for logged in log.verified()))
    return last


def _exchange(path: str, fresh: str, kept: str) -> str | None:
    """Put the fresh database in place; there is no moment without a database."""
    with _converting("replace", path):
        is_there = _has_content(path)
        if is_there:
            os.link(path, kept)
        for suffix in ("-journal", "-wal", "-shm"):
            # SQLite would play a journal of the old file into the new one.
            with suppress(FileNotFoundError):
                os.rename(path + suffix, kept + suffix)
        os.replace(fresh, path)
        sync_folder(os.path.dirname(path))
    return kept if is_there else None


def _has_content(path: str) -> bool:
    """Whether there is a database; SQLite leaves an empty file where one was only looked for."""
    return os.path.exists(path) and os.path.getsize(path) > 0


def _export_all(path: str, log: EventLog) -> None:
    with (
        closing(Database.open(sqlite_url(path), create=False)) as database,
        log.locked(wait_s=_LOCK_WAIT_S),
    ):
        log.export(partial(read_events, database))


def _refuse_existing(path: str) -> None:
    if os.path.lexists(path):
        raise ConflictError(f"`{path}` exists already", hint="name a file that does not exist")


def _publish(part: str, target: str) -> None:
    """Give a finished file its name; fails where somebody else took the name meanwhile."""
    os.link(part, target)
    os.unlink(part)
    sync_folder(os.path.dirname(os.path.abspath(target)))


def _remove(path: str) -> None:
    """Remove what a crash left of a database."""
    for name in (path, f"{path}-journal"):
        with suppress(FileNotFoundError):
            os.unlink(name)


@contextmanager
def _converting(operation: str, path: str) -> Iterator[None]:
    try:
        yield
    except FileExistsError as err:
        raise ConflictError(f"`{path}` was made by somebody else", hint="run it again") from err
    except OSError as err:
        raise StoreUnreachableError(
            f"cannot {operation} `{path}`: {err.strerror}",
            hint="check the folder's rights and its free space",
        ) from err
