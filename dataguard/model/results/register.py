"""Result of `register`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from dataguard.model.entry import Unreadable
    from dataguard.model.finding import Finding
    from dataguard.model.objects import ObjectPlace
    from dataguard.model.seal import SealResult

__all__ = ["ChunkSheet", "RegisterResult", "Writers"]


@dataclass(frozen=True, slots=True)
class ChunkSheet:
    """What `register --chunks` cut: files of 1 MiB or more, and what is kept of them.

    `sheet` is the key of the sheet; None where some files could not be cut, those in `unreadable`.
    """

    sheet: str | None
    files: int
    bytes: int
    chunks: int
    unreadable: tuple[Unreadable, ...] = ()


@dataclass(frozen=True, slots=True)
class Writers:
    """Who could write regular files of a source now, by its permission bits.

    Counts of files that the owner of each user id, members of each group id, and everybody may
    write. Root, access control lists and other mounts are not part of it.
    """

    owners: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, int] = field(default_factory=dict)
    everybody: int = 0


@dataclass(frozen=True, slots=True)
class RegisterResult:
    """Result of `register`.

    Where it was `refused`, nothing was recorded, and `version`, `root`, `files` and `bytes` are of
    what stands, if anything does. `found_files` and `found_bytes` are what is there, None where
    not all of it could be read; `hint` says what would make a version of it. `hashed` counts the
    files that were read, `resumed` those that an interrupted attempt had read, `unlisted` those
    that the expected manifest does not name. `by_checksum` counts the objects that were not read
    because the server keeps their digest; `objects` tells how their bucket is reached.
    """

    dataset: str
    version: int | None
    root: str | None
    created: bool
    files: int
    bytes: int
    algorithm: str
    strength: str
    hashed: int
    location: str
    manifest: str | None
    findings: Collection[Finding]
    unreadable: tuple[Unreadable, ...] = ()
    writers: Writers = field(default_factory=Writers)
    expected: str | None = None
    unlisted: int = 0
    refused: bool = False
    dry_run: bool = False
    note: str | None = None
    resumed: int = 0
    seal: SealResult | None = None
    found_files: int | None = None
    found_bytes: int | None = None
    hint: str | None = None
    chunks: ChunkSheet | None = None
    by_checksum: int = 0
    objects: ObjectPlace | None = None
