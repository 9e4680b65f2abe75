"""What a scan for copies has read, remembered: the entries of candidates with their digests.

The next scan takes a digest from here where path, inode, size and times are those of then, and
opens nothing. An interrupted one leaves how far it came, for the next to go on. All of it is
derived: a file that is missing or damaged costs reading, and nothing else.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import tempfile
from typing import TYPE_CHECKING

import pyarrow as pa
import xxhash

from dataguard.model.dataclass import dataclass
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.stores.scanjournal import ScanJournal
from dataguard.stores.scannames import ScanNames

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Notes", "NotesFile"]

_FORMAT = 1
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Notes:
    """What a scan of one place noted.

    `entries` have the observed schema and are in path order. `through` is the last path that was
    looked at, None where the scan came to its end. `key` names what decided which files were
    candidates; `scanned` and `unreadable` are those of the part up to `through`.
    """

    entries: pa.Table
    key: str
    through: bytes | None = None
    scanned: int = 0
    unreadable: tuple[Unreadable, ...] = ()


class NotesFile:
    """The notes of one user about one place, readable for that user alone."""

    def __init__(self, home: str, uid: int, place: bytes) -> None:
        self._names = ScanNames(home, uid, place)

    def read(self, filesystem: int, schema: pa.Schema) -> Notes | None:
        """Return the notes; None where there are none for this file system and schema."""
        try:
            with open(self._names.notes, "rb") as file:
                head = json.load(file)
            if (head["format"], head["filesystem"]) != (_FORMAT, filesystem):
                return None
            path = self._names.path(head["entries"])
            if _digest(path) != head["digest"]:
                return None
            with pa.memory_map(path) as mapped:
                entries = pa.ipc.open_stream(mapped).read_all()
            if entries.schema != schema:
                return None
            return Notes(
                entries,
                head["key"],
                _raw(head["through"]),
                head["scanned"],
                tuple(
                    Unreadable(base64.b64decode(path), Obstacle(obstacle), detail)
                    for path, obstacle, detail in head["unreadable"]
                ),
            )
        except (OSError, pa.ArrowException, ValueError, KeyError, TypeError):
            return None  # they are made again

    def journal(self, filesystem: int, schema: pa.Schema) -> ScanJournal:
        """Return the journal of scans that write these notes at their end."""
        return ScanJournal(self._names.journal, filesystem, schema)

    def write(self, notes: Notes, filesystem: int, batches: Sequence[pa.RecordBatch]) -> bool:
        """Put notes in place of the old ones; whether the home could be written.

        `batches` are the entries to write, in place of those of the notes.
        """
        with contextlib.suppress(OSError):
            os.makedirs(self._names.directory, exist_ok=True)
            data = self._write_entries(notes.entries.schema, batches)
            head = {
                "format": _FORMAT,
                "filesystem": filesystem,
                "key": notes.key,
                "entries": data.removeprefix(self._names.path("")),
                "digest": _digest(data),
                "through": _text(notes.through),
                "scanned": notes.scanned,
                "unreadable": [
                    (_text(item.path), item.obstacle.value, item.detail)
                    for item in notes.unreadable
                ],
            }
            self._write_head(json.dumps(head).encode())
            self._remove_others(data)
            return True
        return False

    def _write_entries(self, schema: pa.Schema, batches: Sequence[pa.RecordBatch]) -> str:
        descriptor, path = tempfile.mkstemp(
            prefix=f"{self._names.name}.", suffix=".arrow", dir=self._names.directory
        )
        with open(descriptor, "wb") as file, pa.ipc.new_stream(file, schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
        return path

    def _write_head(self, data: bytes) -> None:
        names = self._names
        descriptor, path = tempfile.mkstemp(prefix=f"{names.name}.", dir=names.directory)
        with open(descriptor, "wb") as file:
            file.write(data)
        os.rename(path, self._names.notes)

    def _remove_others(self, kept: str) -> None:
        for name in os.listdir(self._names.directory):
            path = os.path.join(self._names.directory, name)
            ours = name.startswith(self._names.name) and name.endswith(".arrow")
            if ours and path != kept:
                with contextlib.suppress(FileNotFoundError):  # another scan of the same place
                    os.unlink(path)


def _digest(path: str) -> str:
    found = xxhash.xxh3_128()
    with open(path, "rb") as file:
        while piece := file.read(_PIECE):
            found.update(piece)
    return found.hexdigest()


def _text(path: bytes | None) -> str | None:
    return None if path is None else base64.b64encode(path).decode()


def _raw(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
