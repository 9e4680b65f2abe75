"""Datasets, versions and the locations where their bytes are."""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from dataguard.model.actor import Actor
    from dataguard.model.digest import Algorithm, RootDigest
    from dataguard.model.objects import ObjectPlace

__all__ = [
    "Dataset",
    "FileSystem",
    "Location",
    "LocationState",
    "Registration",
    "Tag",
    "Version",
    "VersionState",
]


class VersionState(StrEnum):
    """Whether a version may be used."""

    ACTIVE = "active"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"
    QUARANTINED = "quarantined"


class LocationState(StrEnum):
    """Whether the bytes of the version are expected at the location now."""

    ACTIVE = "active"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class Dataset:
    """A named gold source."""

    name: str
    created: datetime
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """An immutable content of a dataset.

    `manifest` and the sheets of its locations are keys of the manifest store. `files` counts
    regular files, `entries` all rows of the manifest, `bytes` the sizes of regular files.
    """

    dataset: str
    number: int
    root: RootDigest
    algorithm: Algorithm
    entries: int
    files: int
    bytes: int
    state: VersionState
    created: datetime
    actor: Actor
    note: str | None = None
    state_reason: str | None = None
    state_since: datetime | None = None
    exclude: tuple[str, ...] = ()
    digest_sheet: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        """The pinned reference, `faces@3`."""
        return f"{self.dataset}@{self.number}"


@dataclass(frozen=True, slots=True)
class FileSystem:
    """Where a local location lies, as far as baselines depend on it.

    `host` is the machine id, `device` `st_dev`, `fsid` statvfs's file system id. On a shared file
    system (`shared`) other hosts may use the baseline, so host and device are not compared.
    `tick_ns` is the granularity of its timestamps.
    """

    kind: str
    shared: bool
    host: str
    device: int
    fsid: int
    tick_ns: int


@dataclass(frozen=True, slots=True)
class Location:
    """Where the bytes of a version are: an absolute path or an fsspec URL.

    `objects` tells how the bucket of an `s3://` place is reached; None for all others.
    """

    dataset: str
    version: int
    place: str
    state: LocationState
    sheet: str | None
    filesystem: FileSystem | None
    created: datetime
    objects: ObjectPlace | None = None


@dataclass(frozen=True, slots=True)
class Tag:
    """A movable name of a version."""

    dataset: str
    name: str
    version: int
    moved: datetime


@dataclass(frozen=True, slots=True)
class Registration:
    """What `register` wants recorded; the manifest and sheets are already published.

    `append` keeps an earlier version active at the same place, `supersede` retires it there;
    either needs `reason`. `compared_with` is the version that the content was compared with at the
    place, None where there was none or nobody cares.
    """

    dataset: str
    root: RootDigest
    algorithm: Algorithm
    entries: int
    files: int
    bytes: int
    place: str
    sheet: str | None
    filesystem: FileSystem | None
    owner: str | None = None
    note: str | None = None
    exclude: tuple[str, ...] = ()
    digest_sheet: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    append: bool = False
    supersede: bool = False
    reason: str | None = None
    compared_with: int | None = None
    objects: ObjectPlace | None = None
