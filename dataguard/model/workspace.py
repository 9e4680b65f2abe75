"""Workspaces: where somebody works, what is wanted there, and what that was resolved to."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from dataguard.model.actor import Actor
    from dataguard.model.digest import RootDigest
    from dataguard.model.mount import MountRecord
    from dataguard.model.mountpoint import MountStatus

__all__ = [
    "InitResult",
    "LockEntry",
    "MountView",
    "Workspace",
    "WorkspaceRecord",
    "WorkspaceView",
]


@dataclass(frozen=True, slots=True)
class LockEntry:
    """What one mount of a workspace was resolved to."""

    name: str
    dataset: str
    version: int
    root: RootDigest
    location: str


@dataclass(frozen=True, slots=True)
class Workspace:
    """The declaration (`dataguard.toml`) and resolution (`dataguard.lock`) in a directory.

    `datasets` maps mount names to references as written; `lock` maps mount names to entries;
    `policy` is a policy file named in the declaration.
    """

    directory: str
    outputs: str
    datasets: Mapping[str, str] = field(default_factory=dict)
    lock: Mapping[str, LockEntry] = field(default_factory=dict)
    policy: str | None = None


@dataclass(frozen=True, slots=True)
class WorkspaceRecord:
    """A workspace as the catalog knows it."""

    directory: str
    outputs: str
    host: str
    created: datetime
    actor: Actor


@dataclass(frozen=True, slots=True)
class InitResult:
    """What `workspace init` did; `created` is false where the workspace was there already."""

    record: WorkspaceRecord
    created: bool
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class MountView:
    """A mount record and what it is worth now."""

    record: MountRecord
    status: MountStatus


@dataclass(frozen=True, slots=True)
class WorkspaceView:
    """A workspace with its mounts; `known` tells whether the catalog has it on this host."""

    workspace: Workspace
    mounts: tuple[MountView, ...]
    known: bool
