"""Where manifests and sheets lie, and which of the files there are drafts."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from dataguard.model.digest import RootDigest

__all__ = ["PARTIAL", "Shelf", "file_sha256"]

PARTIAL = ".partial-"
"""How the names of drafts begin."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """The directories `manifests/` and `sheets/` of a home."""

    home: str

    @property
    def manifests(self) -> str:
        """The directory of manifests."""
        return os.path.join(self.home, "manifests")

    @property
    def sheets(self) -> str:
        """The directory that holds one directory of sheets for each root."""
        return os.path.join(self.home, "sheets")

    def manifest_path(self, root: RootDigest) -> str:
        """Return where the manifest of a root is or will be."""
        return os.path.join(self.manifests, f"{root.hex}.parquet")

    def sheet_path(self, root: RootDigest, key: str) -> str:
        """Return where a sheet is or will be; the key is the SHA-256 (hex) of its file."""
        return os.path.join(self.sheets, root.hex, f"{key}.parquet")


def file_sha256(path: str) -> str:
    """Return the SHA-256 (hex) of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
