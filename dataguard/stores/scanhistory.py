"""The history of scans for copies: a line of JSON for each, kept in the home's state."""

from __future__ import annotations

import json
import os
from datetime import datetime
from typing import TYPE_CHECKING

from dataguard.core.chain import format_time
from dataguard.model.copies import ListedPath, ScanRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ScanHistory"]


class ScanHistory:
    """The file `state/copies/history.jsonl` of a home."""

    def __init__(self, home: str) -> None:
        self._path = os.path.join(home, "state", "copies", "history.jsonl")

    def add(self, scan: ScanRecord) -> bool:
        """Add a scan; False where the home may not be written."""
        line = json.dumps(
            {
                "finished": format_time(scan.finished),
                "places": [os.fsdecode(one.path) for one in scan.places],
                "user": scan.user,
                "complete": scan.complete,
                "files": scan.files,
                "copies": scan.copies,
                "bytes": scan.bytes,
                "reclaimable": scan.reclaimable,
            }
        )
        try:
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError:
            return False
        return True

    def scans(self) -> tuple[ScanRecord, ...]:
        """Return all scans, oldest first; a line that a crash cut off is left out."""
        return tuple(self._read())

    def _read(self) -> Iterator[ScanRecord]:
        try:
            with open(self._path, encoding="utf-8") as file:
                lines = file.read().splitlines()
        except FileNotFoundError:
            return
        for line in lines:
            try:
                found = json.loads(line)
            except ValueError:
                continue
            yield ScanRecord(
                datetime.fromisoformat(found["finished"]),
                tuple(ListedPath(os.fsencode(place)) for place in found["places"]),
                found["user"],
                found["complete"],
                found["files"],
                found["copies"],
                found["bytes"],
                found["reclaimable"],
            )
