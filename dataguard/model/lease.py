"""Leases: who uses a version now, by a mount or a run, and whether that still goes on."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Lease", "LeaseKind", "LeaseState", "RunUse"]


class LeaseKind(StrEnum):
    """What uses a version; a shell is a run."""

    MOUNT = "mount"
    RUN = "run"


class LeaseState(StrEnum):
    """Whether the use goes on: `unknown` is what cannot be seen from here, and counts as use."""

    LIVE = "live"
    UNKNOWN = "unknown"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Lease:
    """One use of one version, as the record of a mount or a run says.

    `subject` is the mount's target or the run's id, `name` the mount's name in its workspace.
    `process` and `process_started` (clock ticks since boot) are a run's, `mount_id` a mount's;
    both mean something on the boot `boot_id` of `host` only. `detail` says why the state is so.
    """

    kind: LeaseKind
    state: LeaseState
    dataset: str
    version: int
    subject: str
    user: str
    host: str
    since: datetime
    workspace: str | None
    detail: str = ""
    name: str | None = None
    boot_id: str | None = None
    process: int | None = None
    process_started: int | None = None
    mount_id: int | None = None

    @property
    def holds(self) -> bool:
        """Whether it has to be respected: what cannot be seen from here may go on."""
        return self.state is not LeaseState.ENDED

    @property
    def key(self) -> tuple[str, ...]:
        """What tells it from every other use, before and after."""
        return (self.kind, self.host, self.subject, self.since.isoformat())


@dataclass(frozen=True, slots=True)
class RunUse:
    """A run that read a version at `location`, and where its outputs are."""

    run: str
    state: str
    user: str
    host: str
    started: datetime
    finished: datetime | None
    location: str
    outputs: str
