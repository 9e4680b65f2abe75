"""Where lies what scans for copies remember: files of one user about one place."""

from __future__ import annotations

import hashlib
import os

__all__ = ["ScanNames"]


class ScanNames:
    """The paths of one user's files about one place, in `state/copies/` of a home."""

    def __init__(self, home: str, uid: int, place: bytes) -> None:
        self.directory = os.path.join(home, "state", "copies")
        self.name = f"{uid}-{hashlib.sha256(place).hexdigest()[:24]}"

    @property
    def notes(self) -> str:
        """The head of the notes, which names the file of their entries."""
        return self.path(".json")

    @property
    def journal(self) -> str:
        """The journal of a scan that did not come to write its notes."""
        return self.path(".frames")

    @property
    def are_there(self) -> bool:
        """Whether an earlier scan left something."""
        return os.path.lexists(self.notes) or os.path.lexists(self.journal)

    def path(self, suffix: str) -> str:
        """Return the path of a file about the place."""
        return os.path.join(self.directory, self.name + suffix)
