"""Objects in buckets: what pins one, where a bucket is reached, and what its server can do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from dataguard.model.entry import Unreadable

__all__ = ["Asked", "Capabilities", "Held", "ObjectPlace", "Pin", "Versioning"]


class Versioning(StrEnum):
    """Whether a bucket keeps what is overwritten or deleted."""

    ENABLED = "enabled"
    SUSPENDED = "suspended"
    OFF = "off"
    UNKNOWN = "unknown"
    """The server does not say, or not to us."""


@dataclass(frozen=True, slots=True)
class Pin:
    """One content of one key, and no other: what is read is this or nothing.

    `key` is the whole key, verbatim. With a `version_id` that version is read; without one the
    `etag` has to be the object's still. The etag has no quotes.
    """

    key: bytes
    version_id: str | None
    etag: str | None
    size: int

    @property
    def is_versioned(self) -> bool:
        """Whether a version id of its own holds it: `null` is taken by what is written next."""
        return self.version_id not in (None, "null")


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the server of a bucket does, as far as looking at it showed; None: nobody knows.

    `versions_listed`: it answers ListObjectVersions. `lock`: the bucket has an object lock.
    `checksums` are the checksum algorithms, in the words of S3 (`XXHASH128`), that objects looked
    at had. `literal_keys`: keys come back as they were given (`a//b`). `ordered`: listings come in
    bytewise order, and pages are complete.
    """

    versioning: Versioning = Versioning.UNKNOWN
    versions_listed: bool = False
    lock: bool | None = None
    checksums: tuple[str, ...] = ()
    literal_keys: bool | None = None
    ordered: bool = True


@dataclass(frozen=True, slots=True)
class ObjectPlace:
    """How the bucket of a location is reached, in names: never a key, a secret or a token.

    `endpoint` is a URL, or empty for AWS; `profile` the name of a profile of AWS's own files, or
    empty. `pinned`: the bucket is versioned, and every entry of the sheet has a version id.
    """

    endpoint: str = ""
    region: str = ""
    profile: str = ""
    anonymous: bool = False
    requester_pays: bool = False
    pinned: bool = False
    capabilities: Capabilities = Capabilities()

    @property
    def pinned_words(self) -> str:
        """Whether the objects are held by their versions, and if not, why."""
        if self.pinned:
            return "pinned by version"
        return f"unpinned: versioning of the bucket is {self.capabilities.versioning}"


@dataclass(frozen=True, slots=True)
class Held:
    """What a server says of one version of a key, as a HEAD tells it.

    `checksum` is `ALGORITHM:base64` in the words of S3 (`XXHASH128:...`), `checksum_type`
    `FULL_OBJECT` or `COMPOSITE`; both None where the server told none. `lock_mode` is `governance`,
    `compliance` or empty.
    """

    version_id: str | None
    etag: str | None
    size: int
    last_modified: datetime | None = None
    checksum: str | None = None
    checksum_type: str | None = None
    lock_mode: str = ""
    retain_until: datetime | None = None
    legal_hold: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What a server answered about one pin: None is what is not there, or was not asked for.

    `newest` is what everybody gets who names no version, `marker` whether that is a delete marker.
    `gap` says why there is no answer.
    """

    pinned: Held | None = None
    newest: Held | None = None
    marker: bool = False
    gap: Unreadable | None = None
