"""What was in folders that became links: one file beside the journal for each of them.

One JSON object a line, in walking order: directories before what is in them. It is durable before
the journal says that anything is to come.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING

from dataguard.errors import CatalogDamagedError, StoreUnreachableError
from dataguard.model.reclaimfolder import FolderEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from dataguard.stores.reclaimjournal import ReclaimJournal

__all__ = ["listed", "write_list"]

_OPENED = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_NAMES = frozenset({b"", b".", b".."})
_BYTES = ("path", "target", "digest")


def write_list(journal: ReclaimJournal, number: int, entries: Iterable[FolderEntry]) -> None:
    """Write what is in a folder; durable on return.

    What the entries themselves raise goes through, and leaves no list.

    Raises:
        StoreUnreachableError: it cannot be written.
    """
    path = _path(journal, number)
    with _created(path) as stream:
        for entry in entries:
            line = json.dumps(_encoded(entry)).encode() + b"\n"
            with _converted(path):
                stream.write(line)
        with _converted(path):
            stream.flush()
            os.fsync(stream.fileno())
            _sync_directory(path)


def listed(journal: ReclaimJournal, number: int) -> Iterator[FolderEntry]:
    """Yield what was in a folder, in the order in which it was written.

    Raises:
        CatalogDamagedError: the list is not there, is another user's, or says what nobody wrote.
    """
    path = _path(journal, number)
    try:
        with open(os.open(path, _OPENED), "rb") as stream:
            _refuse_others(stream)  # it says what to do with files
            for line in stream:
                yield _decoded(json.loads(line))
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise CatalogDamagedError(
            f"{path} is no list of a folder that this dataguard reads: {err}",
            hint="the link that was made is in place; restore the list from a backup",
        ) from err


def _refuse_others(stream: BinaryIO) -> None:
    if os.fstat(stream.fileno()).st_uid != os.geteuid():
        raise ValueError("it is another user's")


def _path(journal: ReclaimJournal, number: int) -> str:
    return f"{journal.path.removesuffix('.jsonl')}.{number}.folder"


@contextmanager
def _created(path: str) -> Iterator[BinaryIO]:
    """Write a new file; one that was not written to its end does not stay."""
    with _converted(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    whole = False
    try:
        with open(descriptor, "wb") as stream:
            yield stream
        whole = True
    finally:
        if not whole:
            os.unlink(path)


@contextmanager
def _converted(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as err:
        raise StoreUnreachableError(
            f"cannot write {path}: {err.strerror}", hint=f"ls -ld {os.path.dirname(path)}"
        ) from err


def _sync_directory(path: str) -> None:
    descriptor = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _encoded(entry: FolderEntry) -> dict[str, object]:
    found = {field.name: getattr(entry, field.name) for field in fields(entry)}
    found |= {name: b64encode(found[name]).decode() for name in _BYTES}
    first = entry.first
    return found | {"first": None if first is None else b64encode(first).decode()}


def _decoded(values: dict[str, object]) -> FolderEntry:
    known = {field.name: values[field.name] for field in fields(FolderEntry)}
    known |= {name: b64decode(str(known[name])) for name in _BYTES}
    first = known["first"]
    known["first"] = None if first is None else b64decode(str(first))
    entry = FolderEntry(**known)  # type: ignore[arg-type]
    for path in (entry.path, entry.first):
        if path and not _NO_NAMES.isdisjoint(path.split(b"/")):
            raise ValueError("a path leads elsewhere")
    return entry
