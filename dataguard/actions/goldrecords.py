"""What whoever reads gold asks of the catalog: looked up without changing anything in it."""

from __future__ import annotations

import os
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from dataguard.catalog.database import Database
from dataguard.catalog.reading import Reader, fetch
from dataguard.catalog.schema import check_schema, is_empty
from dataguard.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.model.dataset import Version
    from dataguard.model.settings import Settings

__all__ = ["is_input_of", "reading", "state_of"]


@contextmanager
def reading(settings: Settings) -> Iterator[Reader]:
    """Give the records of the catalog, of one moment; nothing is made, finished or migrated.

    Raises:
        CatalogDamagedError: the database is damaged or newer.
        ConflictError: it is older, or stayed locked for too long.
        NotFoundError: there is no catalog.
        StoreUnreachableError: it cannot be read.
    """
    url = settings.catalog.value
    with closing(Database.open(url, create=False)) as database, database.reading() as records:
        if is_empty(records):
            raise NotFoundError(f"the catalog `{database.path}` is empty", hint="dataguard doctor")
        check_schema(records)
        yield Reader(partial(fetch, records))


def state_of(path: str) -> tuple[int, int, int]:
    """Return what differs once somebody wrote the catalog at a path: its file, size and time.

    Raises:
        NotFoundError: there is no catalog.
    """
    try:
        found = os.stat(path)
    except OSError as err:
        raise NotFoundError(
            f"no catalog at `{path}`: {err.strerror}",
            hint="set DATAGUARD_HOME; `dataguard doctor` shows where it is looked for",
        ) from err
    return found.st_ino, found.st_size, found.st_mtime_ns


def is_input_of(records: Reader, run_id: str, version: Version) -> bool | None:
    """Whether a version is among the inputs of a run; None where the catalog knows no such run."""
    try:
        run = records.run(run_id)
    except NotFoundError:
        return None
    wanted = (version.dataset, version.number)
    return any((one.dataset, one.version) == wanted for one in run.inputs)
