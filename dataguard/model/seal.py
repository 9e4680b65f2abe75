"""Seals: what protects a source in place, what is recorded of it, and what `seal` came to."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from dataguard.model.dataclass import dataclass
from dataguard.model.policy import Seal

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from dataguard.model.actor import Actor
    from dataguard.model.entry import Unreadable
    from dataguard.model.finding import Finding

__all__ = [
    "SEAL_GONE",
    "SEAL_PREFIX",
    "SEAL_SENTENCES",
    "WRITE_BITS",
    "DirectoryMode",
    "SealRecord",
    "SealResult",
    "SealState",
    "SealView",
    "UnsealResult",
    "seal_key",
]

SEAL_PREFIX = "seal/"

WRITE_BITS = 0o222
"""What a seal by mode takes away."""

SEAL_SENTENCES = {
    Seal.NONE: "nothing but permissions and mounts keeps anybody from writing to the source",
    Seal.MODE: "write permission is taken away: the owner can give it back, and root's writes are "
    "not refused",
    Seal.IMMUTABLE: "no process without CAP_LINUX_IMMUTABLE can change, rename or remove files, "
    "whatever path or mount it uses",
}
"""What each seal means, in one sentence."""


SEAL_GONE = {
    Seal.MODE: "the seal is gone: somebody may write to it again",
    Seal.IMMUTABLE: "the seal is gone: the immutable flag was cleared",
}
"""What is said where a seal should be and is not."""


class SealState(StrEnum):
    """How far a seal is; `sealing` and `opening` stay behind where somebody was interrupted."""

    SEALING = "sealing"
    SEALED = "sealed"
    OPENING = "opening"
    OPEN = "open"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class SealRecord:
    """The seal of one place; `version` is the version of whose manifest the paths are.

    `reason` and `until` are those of the last opening; without `until` it was for good. For
    `mode`, `modes` is the location sheet with the modes of entries from before, and
    `directories` the sheet with those of the other directories.
    """

    place: str
    dataset: str
    version: int
    kind: Seal
    state: SealState
    since: datetime
    actor: Actor
    reason: str | None = None
    until: datetime | None = None
    modes: str | None = None
    directories: str | None = None

    @property
    def key(self) -> str:
        """The name under which the catalog keeps the newest record of the place."""
        return seal_key(self.place)

    @property
    def reference(self) -> str:
        """The version that was sealed, `faces@3`."""
        return f"{self.dataset}@{self.version}"

    @property
    def is_unfinished(self) -> bool:
        """Whether some of the tree is sealed and some is not."""
        return self.state in (SealState.SEALING, SealState.OPENING)

    @property
    def remembers(self) -> bool:
        """Whether the modes from before are on record only, not on the disk any more."""
        return self.is_unfinished or self.state is SealState.SEALED

    @property
    def holds(self) -> Seal:
        """What the whole place is protected by, as far as the record goes."""
        return self.kind if self.state is SealState.SEALED else Seal.NONE


class DirectoryMode(NamedTuple):
    """The mode of a directory from before a seal; `inode` is None in older records."""

    path: bytes
    mode: int
    inode: int | None


@dataclass(frozen=True, slots=True)
class SealView:
    """A seal as it is shown: in one word, and with what has to be said of it."""

    record: SealRecord
    word: str
    notice: str


def seal_key(place: str) -> str:
    """Return the name under which the newest record of a place is kept."""
    digest = hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()
    return f"{SEAL_PREFIX}{digest[:32]}"


@dataclass(frozen=True, slots=True)
class SealResult:
    """Result of `seal`.

    `files` and `directories` are sealed now, `changed` of them by this command. `hashed` counts
    the files that were read again. Where it was `refused`, `state` says what stands.
    """

    dataset: str
    version: int
    root: str
    location: str
    filesystem: str
    seal: Seal
    state: SealState | None
    files: int
    directories: int
    changed: int
    hashed: int
    excluded: int
    findings: Collection[Finding]
    unreadable: tuple[Unreadable, ...]
    refused: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class UnsealResult:
    """Result of `unseal`; without `until` the seal is given up for good."""

    dataset: str
    version: int
    root: str
    location: str
    seal: Seal
    state: SealState
    reason: str
    until: datetime | None
    files: int
    directories: int
    changed: int
    unreadable: tuple[Unreadable, ...] = ()
    dry_run: bool = False
